#include "server/shard.h"

#include <algorithm>
#include <type_traits>
#include <utility>

#include "common/assert.h"
#include "common/finite.h"
#include "common/identity.h"
#include "common/mutation.h"

namespace shardmill {
namespace {

bool HasNonfinite(const Unit& unit, const ShardCopy& copy) {
  const auto table = copy.tables().find(unit.table);
  if (table == copy.tables().end() || Mutated(Mutation::kApplyNonfinite)) return false;
  return !AllNumbers(unit.gradient.floats(), IsMerge(table->second.update.rule));
}

}  // namespace

Result<std::unique_ptr<Shard>> Shard::Make(const ShardOptions& options, FramePool& frames,
                                           ShardObserver* observer) {
  SM_TRY(MakeOptimizer(options.update));
  return std::unique_ptr<Shard>(new Shard(options, frames, observer));
}

Shard::Shard(const ShardOptions& options, FramePool& frames, ShardObserver* observer)
    : options_(options),
      frames_(frames),
      observer_(observer),
      copy_(options.id, options.update, frames, observer),
      followers_({options.id, options.retry_after, options.window_bytes, options.held_bytes_max,
                  options.give_up_after},
                 copy_, frames),
      log_({options.id, options.window_bytes, options.held_bytes_max, options.log_entries_bytes,
            options.retry_after},
           copy_, frames),
      recent_(frames),
      held_(options.held_bytes_max, options.units_max),
      keys_(options.key_lists_max, options.keys_max, frames) {}

void Shard::Handle(TimePoint now, const Envelope& envelope, Outbox& outbox) {
  Take(now, envelope, outbox);
  SettleAll(outbox);
}

void Shard::Take(TimePoint now, const Envelope& envelope, Outbox& outbox) {
  now_ = now;
  if (envelope.identity != nullptr && !PassIdentity(envelope, outbox)) return;
  std::visit(
      [&](const auto& message) {
        using Kind = std::decay_t<decltype(message)>;
        if constexpr (std::is_same_v<Kind, Welcome>) {
          if (envelope.peer != options_.coordinator || coordinator_boot_.value != 0) return;
          coordinator_boot_ = envelope.stamp.from;
          job_ = envelope.stamp.job;
          asked_at_.reset();
          CheckRestored();
        } else if constexpr (requires { On(message, envelope, outbox); }) {
          constexpr bool kAnyStamp = std::is_same_v<Kind, Hello> || std::is_same_v<Kind, Refused>;
          constexpr bool kByCoordinator =
              std::is_same_v<Kind, Registered> || std::is_same_v<Kind, Freeze> ||
              std::is_same_v<Kind, Install> || std::is_same_v<Kind, GetSaved> ||
              std::is_same_v<Kind, Replicas>;
          if (kByCoordinator && envelope.peer != options_.coordinator) {
            Refuse(Refusal::kBadRequest, 0, "only the coordinator may say this", envelope, outbox);
            return;
          }
          if (kAnyStamp || PassStamp(envelope, outbox)) {
            On(message, envelope, outbox);
          }
        } else {
          Refuse(Refusal::kBadRequest, 0, "a shard does not take this kind of message", envelope,
                 outbox);
        }
      },
      envelope.message);
}

void Shard::Tick(TimePoint now, Outbox& outbox) {
  now_ = now;
  MoveFollowers(outbox);
  if (ReadsLog()) return;
  if (!freezing_ && !late_ends_.empty()) TakeLateEnds(outbox);
  if (!began_at_) began_at_ = now;
  if (!registered_ && !failure_ && now - *began_at_ >= options_.start_timeout) {
    failure_ = Error{ErrorCode::kUnavailable, held_words_.empty()
                                                  ? "the coordinator did not answer in time"
                                                  : "the coordinator: " + held_words_};
  }
  if (!registered_ && !failure_ && (!asked_at_ || now - *asked_at_ >= options_.retry_after)) {
    asked_at_ = now;
    if (coordinator_boot_.value == 0) {
      Hello hello;
      hello.role = Role::kServer;
      Send(Coordinator(), hello, outbox);
    } else {
      const LogMark log = restored_ ? restored_->mark : LogMark{};
      Send(Coordinator(), Register{options_.id, options_.endpoint, options_.copy, log}, outbox);
    }
  }
  if (registered_ && (!beat_at_ || now - *beat_at_ >= options_.beat_every)) {
    beat_at_ = now;
    Send(Coordinator(), Status(), outbox);
  }
}

Beat Shard::Status() const {
  Beat beat;
  beat.shard = options_.id;
  beat.closed = copy_.tracker().Closed();
  beat.version = copy_.version();
  beat.units = counters_.units;
  beat.held_bytes = held_.bytes();
  for (const auto& [rank, pulls] : parked_) beat.parked_pulls += pulls.size();
  // Who has ended its step waits for the round.
  if (closes_rounds()) beat.parked_pulls += pending_.size();
  beat.staleness_max = counters_.staleness_max;
  beat.waiting_for = Awaited().value;
  beat.discarded = counters_.discarded;
  beat.skipped = counters_.skipped;
  beat.nonfinite = counters_.nonfinite;
  beat.view = view().number;
  beat.copy = options_.copy;
  beat.replicas = followers_.number();
  if (primary_) beat.in_sync = followers_.InSync();
  if (primary_ && options_.log) beat.log = StatusOfLog();
  beat.gated = gate_.waiting();
  beat.differing = followers_.differing();
  if (beat.differing != 0) beat.why = followers_.why();
  beat.leaving = leaving_;
  beat.answers = question_;
  return beat;
}

std::vector<float> Shard::Snapshot(TableId table) const {
  SM_ASSERT(copy_.settled());
  std::vector<float> floats;
  const auto found = copy_.tables().find(table);
  if (found == copy_.tables().end()) return floats;
  const auto& values = std::get<DenseSlice>(found->second.values);
  for (const Frame& frame : values.Read(values.begin(), values.end() - values.begin())) {
    floats.insert(floats.end(), frame.floats().begin(), frame.floats().end());
  }
  return floats;
}

std::map<uint64_t, std::vector<float>> Shard::Rows(TableId table) const {
  std::map<uint64_t, std::vector<float>> rows;
  const auto found = copy_.tables().find(table);
  if (found == copy_.tables().end()) return rows;
  std::get<SparseSlice>(found->second.values)
      .ForEach([&rows](uint64_t key, std::span<const float> values) {
        rows[key].assign(values.begin(), values.end());
      });
  return rows;
}

void Shard::On(const Hello& /*hello*/, const Envelope& from, Outbox& outbox) {
  Send({from.peer, from.stamp.from}, Welcome{}, outbox);
}

void Shard::On(const Refused& refused, const Envelope& from, Outbox& /*outbox*/) {
  if (from.peer == options_.coordinator && refused.code == Refusal::kNotReady &&
      from.stamp.from == coordinator_boot_) {
    registered_ = false;  // It was started again, and does not know us.
    began_at_.reset();
    return;
  }
  // Asked again until start_timeout: who holds the place may be gone by then.
  if (from.peer == options_.coordinator && refused.code == Refusal::kRankHeld) {
    held_words_ = refused.words;
    return;
  }
  const Refusal why = refused.code;
  const bool misused =
      why == Refusal::kVersion || why == Refusal::kBadRank || why == Refusal::kForbidden;
  const bool lost = why == Refusal::kWrongJob || why == Refusal::kFailed;
  const bool final = misused || lost || why == Refusal::kFenced || why == Refusal::kDone;
  if (from.peer != options_.coordinator || from.stamp.to != options_.boot || !final) return;
  const ErrorCode code = misused                   ? ErrorCode::kBadUsage
                         : lost                    ? ErrorCode::kFailed
                         : why == Refusal::kFenced ? ErrorCode::kFenced
                                                   : ErrorCode::kDone;
  failure_ = Error{code, "the coordinator: " + refused.words};
}

void Shard::On(const Unit& unit, const Envelope& from, Outbox& outbox) {
  const WorkerId rank = unit.sender.rank;
  if (!PassSender(unit.sender, unit.step, from, outbox)) return;
  Held answer{rank, unit.step, unit.attempt, unit.index};
  const Step ended = copy_.tracker().Ended(rank);
  answer.nonfinite = HasNonfinite(unit, copy_);
  if (unit.step <= ended) {
    // Whoever makes the step again for another shard leaves it out there, as was done here.
    Send({from.peer, from.stamp.from}, answer, outbox);
    return;
  }
  if (!PassStep(unit.step, rank, unit.step, from, outbox)) return;
  HeldUnit held{unit, nullptr, false};
  const uint64_t floats = unit.gradient.size() / sizeof(float);
  if (!PassPlace(unit.table, unit.begin, floats, unit.keys, rank, unit.step, from, outbox,
                 held.keys)) {
    return;
  }
  const std::string problem = RowsProblem(held);
  if (!problem.empty()) {
    Refuse(Refusal::kTooLarge, unit.step, problem, from, outbox);
    return;
  }
  held.nonfinite = answer.nonfinite;
  switch (held_.Keep(std::move(held))) {
    case HeldUnits::Kept::kTooLarge:
      Refuse(Refusal::kTooLarge, unit.step,
             "the units of one step are more than a shard holds for one worker: its share of "
             "network.held_bytes; raise that, or use more shards",
             from, outbox);
      return;
    case HeldUnits::Kept::kYes:
      ++counters_.units;
      if (answer.nonfinite) ++counters_.nonfinite;
      break;
    case HeldUnits::Kept::kAlready:
      break;
  }
  Send({from.peer, from.stamp.from}, answer, outbox);
}

void Shard::On(const End& end, const Envelope& from, Outbox& outbox) {
  if (!PassSender(end.sender, end.step, from, outbox)) return;
  const WorkerId rank = end.sender.rank;
  const Client client{from.peer, from.stamp.from};
  Bring(end);
  const bool frozen = freezing_ && !Mutated(Mutation::kEndWhileFrozen);
  if (frozen && end.step > copy_.tracker().Ended(rank)) {
    late_ends_.insert_or_assign(rank, Envelope{from.peer, from.stamp, end, nullptr});
    return;
  }
  const Told told = end.close.empty() ? Told::kClosed : RoundAsTold(end.close);
  if (told == Told::kCannotBe) {
    Refuse(Refusal::kBadRequest, end.step, "a round that cannot have been closed", from, outbox);
    return;
  }
  if (told == Told::kNext) {
    if (frozen) return;  // The client takes an answer for word that the round is closed here too.
    CloseAsTold(end.close, outbox);
  }
  const Step ended = copy_.tracker().Ended(rank);
  if (end.step <= ended && !Mutated(Mutation::kApplyRepeatedEnd)) {
    SettleAll(outbox);
    AnswerEnded(rank, end.step, client, outbox);
    return;
  }
  // Units may still be on their way: the client asks again.
  if (!PassEnd(end, from, outbox)) return;
  const bool repeated = pending_.contains(rank);
  pending_.insert_or_assign(rank, PendingEnd{end, client, false, ++arrivals_});
  if (closes_rounds()) {
    CloseRoundIfWhole(outbox);
    if (repeated && pending_.contains(rank)) SendWaiting(end.step, false, client, outbox);
  } else {
    const PendingEnd alone = pending_.at(rank);
    ApplySteps({&alone, 1}, outbox);
  }
}

// Whether a rank's step is its next here. Where the first shard closes rounds, another may be one
// round behind, which will come: the client asks again.
bool Shard::PassStep(Step step, WorkerId rank, uint64_t about, const Envelope& from,
                     Outbox& outbox) {
  const Step next = copy_.tracker().Ended(rank) + 1;
  if (step <= next) return true;
  const bool behind = first_closes() && options_.id.value != 0 && step == next + 1;
  Refuse(behind ? Refusal::kNotReady : Refusal::kBadRequest, about,
         "step " + std::to_string(step) + ", but step " + std::to_string(next) + " is next", from,
         outbox);
  return false;
}

// Whether an End that is not over may be taken now; refuses it, or is silent where it will come
// again.
bool Shard::PassEnd(const End& end, const Envelope& from, Outbox& outbox) {
  const WorkerId rank = end.sender.rank;
  const Step ended = copy_.tracker().Ended(rank);
  if (!PassStep(end.step, rank, end.step, from, outbox)) return false;
  // Here a round closes when somebody brings word of it from the first shard.
  const bool follows = first_closes() && options_.id.value != 0;
  if (follows && !Mutated(Mutation::kCloseAlone)) return false;
  held_.DropBefore(rank, end.step, end.attempt);
  if (end.step > ended && !held_.Whole(rank, end.step, end.attempt, end.units)) return false;
  if (held_.Nonfinite(rank, end.step) && view().policy.nonfinite != OnNonfinite::kAccept) {
    held_.Drop(rank);
    Refuse(Refusal::kNonfinite, end.step,
           "the gradient of step " + std::to_string(end.step) + " has a NaN or an infinity in it",
           from, outbox);
    return false;
  }
  return true;
}

void Shard::On(const Pull& pull, const Envelope& from, Outbox& outbox) {
  const WorkerId rank = pull.sender.rank;
  if (!PassSender(pull.sender, pull.pull, from, outbox)) return;
  ParkedPull asked{pull, nullptr, {from.peer, from.stamp.from}};
  if (!PassPlace(pull.table, pull.begin, pull.count, pull.keys, rank, pull.pull, from, outbox,
                 asked.keys)) {
    return;
  }
  if (copy_.tracker().MayRead(rank, pull.step, pull.closed_min)) {
    Serve(asked, outbox);
    // Others wait for the table that was settled for this one.
    if (releases_) ReleaseParked(pull.table, outbox);
    return;
  }
  // One step ahead is a pull that has overtaken its End.
  if (pull.step > copy_.tracker().Ended(rank) + 2) {
    Refuse(Refusal::kBadRequest, pull.pull,
           "a pull for step " + std::to_string(pull.step) + ", but step " +
               std::to_string(copy_.tracker().Ended(rank) + 1) + " is next",
           from, outbox);
    return;
  }
  auto& parked = parked_[rank];
  if (!parked.contains(pull.pull) && !MayPark(parked, asked)) {
    Refuse(Refusal::kBusy, pull.pull, "too many pulls wait already", from, outbox);
    return;
  }
  if (!parked.insert_or_assign(pull.pull, asked).second) {
    SendWaiting(pull.pull, true, asked.client, outbox);
  }
}

void Shard::On(const Registered& registered, const Envelope& /*from*/, Outbox& /*outbox*/) {
  registered_ = true;
  question_ = registered.question;
  held_words_.clear();
  beat_at_.reset();  // Who is told again is asked whether it is there.
}

void Shard::On(const Freeze& freeze, const Envelope& /*from*/, Outbox& outbox) {
  if (restoring_) return;
  if (freeze.number <= view().number) {
    Send(Coordinator(), Installed{view().number}, outbox);
    return;
  }
  if (freezing_ && freeze.number < *freezing_) return;  // Late: of a cut that is given up.
  if (!primary_ && !Promote(freeze.term)) return;
  if (freeze.term > term_) {  // It has its place again: its heir is gone, and no view ever had it.
    term_ = freeze.term;
    unseen_ = true;
  }
  SettleAll(outbox);
  freezing_ = freeze.number;
  Send(Coordinator(), Status(), outbox);  // So that what people see at a job's end is the end.
  Show(Gate::To::kCoordinator, Coordinator(),
       Frozen{freeze.number, copy_.tracker().States(), Owes()}, outbox);
}

void Shard::On(const Install& install, const Envelope& from, Outbox& outbox) {
  const bool anew = install.view.generation > view().generation;
  if (restoring_ && !anew) {
    RefuseRestored(outbox);
    return;
  }
  if (install.view.number <= view().number) {
    Send(Coordinator(), Installed{view().number}, outbox);
    return;
  }
  if (!anew && freezing_ != install.view.number) return;
  // The next cut may have begun, and counts on this shard by now: its first view came late.
  const bool frozen_for_next = freezing_ && *freezing_ > install.view.number;
  const std::optional<ViewNumber> next_cut = frozen_for_next ? freezing_ : std::nullopt;
  if (anew) {
    DropGeneration();
    primary_ = true;
  }
  const std::string problem = install.view.shards.size() > options_.id.value
                                  ? CompleteCut(install.cut, outbox)
                                  : "a view without this shard";
  if (!problem.empty()) {
    Refuse(Refusal::kFailed, install.view.number.value, problem, from, outbox);
    return;
  }
  DropReplaced(install.view);
  const std::string unfit = TakeView(install.view);
  if (!unfit.empty()) {
    Refuse(Refusal::kFailed, install.view.number.value, unfit, from, outbox);
    return;
  }
  freezing_ = next_cut;
  for (const Member& member : view().members) {
    if (promoted_) unsure_[member.rank] = copy_.tracker().Ended(member.rank) + 1;
  }
  promoted_ = unseen_ = false;
  if (install.restore != 0) {
    if (!Mutated(Mutation::kKeepSteps)) copy_.RestoreSteps(install.cut);
    restoring_ = Restoring{++loads_, install.restore, false, false, {}};
    return;
  }
  if (install.snapshot != 0) {
    SettleAll(outbox);
    BeginSave(install);
  }
  Send(Coordinator(), Installed{view().number}, outbox);
  if (closes_rounds()) CloseRoundIfWhole(outbox);
  releases_ = true;
}

bool Shard::PassIdentity(const Envelope& from, Outbox& outbox) {
  std::string forbidden = ForbiddenWords(from);
  if (forbidden.empty() || Mutated(Mutation::kTakeAnyKey)) return true;
  Refuse(Refusal::kForbidden, 0, std::move(forbidden), from, outbox);
  return false;
}

bool Shard::PassStamp(const Envelope& from, Outbox& outbox) {
  const Stamp& stamp = from.stamp;
  if (job_.value == 0) {
    Refuse(Refusal::kNotReady, 0, "this shard has no job yet", from, outbox);
    return false;
  }
  if (stamp.job != job_) {
    Refuse(Refusal::kWrongJob, 0, "this shard serves another job", from, outbox);
    return false;
  }
  if (stamp.to != options_.boot && !Mutated(Mutation::kIgnoreBootId)) {
    Refuse(Refusal::kWrongBoot, 0, "the process that this was meant for is gone", from, outbox);
    return false;
  }
  if (from.peer == options_.coordinator) {
    // One that was started again has a higher term; what the one before it said is void.
    if (stamp.from != coordinator_boot_ || stamp.term < coordinator_term_) return false;
    coordinator_term_ = stamp.term;
    return true;
  }
  if (stamp.generation < view().generation || stamp.term < term_) {
    Refuse(Refusal::kOldView, 0, "the view has moved on", from, outbox);
    return false;
  }
  return true;
}

bool Shard::PassSender(const Sender& sender, uint64_t about, const Envelope& from, Outbox& outbox) {
  if (!primary_ && (gated() || following_)) {
    Refuse(Refusal::kOldView, about, "this process holds a replica", from, outbox);
    return false;
  }
  const Member* member = view().FindMember(sender.rank);
  if (member == nullptr || sender.incarnation > member->incarnation) {
    Refuse(Refusal::kNotReady, about, "this shard has no view with this worker yet", from, outbox);
    return false;
  }
  if (sender.incarnation < member->incarnation && !Mutated(Mutation::kUnfencedIncarnation)) {
    Refuse(Refusal::kFenced, about,
           "another process holds rank " + std::to_string(sender.rank.value), from, outbox);
    return false;
  }
  return true;
}

bool Shard::PassPlace(TableId table, uint64_t begin, uint64_t count, const KeyList& keys,
                      WorkerId rank, uint64_t about, const Envelope& from, Outbox& outbox,
                      std::shared_ptr<KeyRows>& rows) {
  const auto found = copy_.tables().find(table);
  if (found == copy_.tables().end()) {
    Refuse(Refusal::kBadRequest, about, "there is no table " + std::to_string(table.value), from,
           outbox);
    return false;
  }
  const std::string problem = PlaceProblem(found->second, begin, count, keys);
  if (!problem.empty()) {
    Refuse(Refusal::kBadRequest, about, problem, from, outbox);
    return false;
  }
  const auto* sparse = std::get_if<SparseSlice>(&found->second.values);
  if (sparse == nullptr) return true;
  rows = keys_.Get(rank, table, keys);
  if (rows == nullptr) {
    Refuse(Refusal::kNoKeys, keys.id, "this shard does not have the list of keys", from, outbox);
    return false;
  }
  const bool is_unit = std::holds_alternative<Unit>(from.message);
  if (!is_unit && count > options_.answer_bytes_max / (sparse->dim() * sizeof(float))) {
    Refuse(Refusal::kTooLarge, about,
           "the rows of one pull are more than network.message_bytes; raise that, or pull fewer",
           from, outbox);
    rows = nullptr;
    return false;
  }
  if (rows->rows.size() * (is_unit ? sparse->dim() : 1) == count) return true;
  Refuse(Refusal::kBadRequest, about,
         "a list of " + std::to_string(rows->rows.size()) + " keys, and values for another number",
         from, outbox);
  rows = nullptr;
  return false;
}

}  // namespace shardmill
