#include "server/coordinator.h"

#include <algorithm>
#include <type_traits>
#include <utility>

#include "common/assert.h"
#include "common/identity.h"
#include "common/mutation.h"
#include "common/table_words.h"
#include "optim/optimizer.h"

namespace shardmill {

namespace {

// Who has lost its connection for long waits so long, at most, before it tries again.
constexpr Duration kReconnectMax = std::chrono::seconds(1);

// Whether what the one rule has gathered is good for the other.
bool CanFollow(const UpdateSettings& is, const UpdateSettings& asked) {
  if (is.rule == asked.rule) return true;
  if (IsMerge(is.rule) || IsMerge(asked.rule)) return false;
  const auto before = MakeOptimizer(is);
  const auto after = MakeOptimizer(asked);
  return before.ok() && after.ok() && before.value()->slots() + after.value()->slots() == 0;
}

}  // namespace

Coordinator::Coordinator(const CoordinatorOptions& options, TimePoint now)
    : options_(options),
      started_(now),
      leases_(options.data, options.workers),
      ranks_(options.ranks()),
      shards_(options.shards),
      copies_(options.shards) {
  PlaceCopies();
  view_.policy = options.policy;
  view_.generation = Generation{1};
  if (options.resume) {
    view_.generation = options.resume->view.generation.Next();
    snapshot_closed_ = ClosedAt(options.resume->cut);
    last_ = options.resume;
    base_ = options.resume->number;
    leases_.Restore(options.resume->data);
  }
  FindLine();
  decided_ = view_;
  snapshot_ = options.snapshots.number;
  snapshot_at_ = now;
  words_ = MissingWords();
}

Coordinator::Coordinator(const CoordinatorOptions& options, TimePoint now,
                         const CoordinatorState& before)
    : Coordinator(options, now) {
  SM_ASSERT(before.ranks.size() == ranks_.size());
  options_.job = before.job;
  options_.boot = before.boot;
  epoch_ = before.epoch.Next();
  final_cut_ = before.final_cut;
  audit_ = before.audit;
  snapshot_ = std::max(snapshot_, before.snapshot);
  FindLastSnapshot(before);
  FindLine();
  leases_.Restore(before.data);
  const View& decided = before.decided.view;
  for (uint32_t i = 0; i < ranks_.size(); ++i) {
    const CoordinatorState::Rank& from = before.ranks[i];
    RankStatus& rank = ranks_[i];
    rank.boot = from.boot;
    rank.incarnation = from.incarnation;
    rank.granted = from.granted;
    rank.fenced = from.fenced;
    rank.acked = from.acked;
    rank.report = from.report;
    // Nobody was declared dead meanwhile, and nobody is before a lease has passed from now on; nor,
    // where the silent lose their rank, before it can have connected.
    rank.lease_until = now + options_.lease + (options_.elastic() ? kReconnectMax : Duration{});
    rank.heard_at = now;
    if (from.granted) rank.state = RankStatus::State::kTraining;
    if (from.done) rank.state = RankStatus::State::kDone;
  }
  if (decided.number.value > 0) {
    SM_ASSERT(decided.shards.size() == shards_.size());
    for (uint32_t i = 0; i < shards_.size(); ++i) {
      shards_[i].registered = true;
      shards_[i].boot = decided.shards[i].boot;
      shards_[i].endpoint = decided.shards[i].endpoint;
      HeardOf(shards_[i], now);
    }
    // Whether all have taken it is not known; who has says so again.
    cut_ = before.decided.cut;
    // Its snapshot is given up: what the shards have written of it, nobody has heard.
    install_restore_ = before.decided.restore;
    next_ = decided_ = decided;
    view_.generation = decided.generation;
    view_.number = ViewNumber{decided.number.value - 1};
    phase_ = Phase::kInstalling;
    asked_at_ = now;
    state_ = JobState::kTraining;
    recut_ = !Mutated(Mutation::kForgetFreeze);
  }
  streams_ = before.streams;
  hosting_ = std::max(hosting_, before.hosting);
  RestoreCopies(before.copies, now);
  if (promotion_) phase_ = Phase::kIdle;
  if (!before.going_back.empty()) {
    going_back_ = now + Duration(1);  // Each shard must be heard of again.
    rollback_words_ = before.going_back;
  }
  if (before.done) {
    view_ = next_;
    phase_ = Phase::kIdle;
    final_saved_ = last_ && last_->number == before.snapshot;
    EndJob();
  }
  if (before.failed) {
    state_ = JobState::kFailed;
    words_ = before.words;
    timed_out_ = before.timed_out;
  }
}

std::optional<CoordinatorState> Coordinator::TakeState() {
  if (!changed_) return {};
  changed_ = false;
  return State();
}

CoordinatorState Coordinator::State() const {
  CoordinatorState state;
  state.job = options_.job;
  state.boot = options_.boot;
  state.epoch = epoch_;
  state.decided = {decided(), cut_, 0, install_restore_};
  for (const RankStatus& rank : ranks_) {
    const bool done = rank.state == RankStatus::State::kDone;
    state.ranks.push_back(
        {rank.boot, rank.incarnation, rank.granted, rank.fenced, done, rank.acked, rank.report});
  }
  state.final_cut = final_cut_;
  state.done = state_ == JobState::kDone;
  state.failed = state_ == JobState::kFailed;
  state.words = state.failed ? words_ : "";
  state.timed_out = timed_out_;
  state.audit = audit_;
  state.snapshot = snapshot_;
  state.base = base_;
  state.rollbacks = rollbacks_;
  state.data = leases_.state();
  state.keys = options_.keys;
  state.streams = streams_;
  state.going_back = going_back_ ? rollback_words_ : "";
  state.hosting = hosting_;
  for (uint32_t i = 0; i < copies_.size(); ++i) {
    const ShardStatus& primary = shards_[i];
    ShardCopies& copies = state.copies.emplace_back();
    copies.term = copies_[i].term;
    copies.copy = primary.copy;
    copies.boot = primary.registered ? primary.boot : BootId{};
    copies.endpoint = primary.endpoint;
    copies.number = copies_[i].number;
    copies.log = copies_[i].log;
    copies.host = primary.host;
    copies.given = copies_[i].given;
    for (const ShardStatus& replica : copies_[i].replicas) {
      copies.replicas.push_back({replica.copy, replica.registered ? replica.boot : BootId{},
                                 replica.endpoint, replica.retires ? 0 : replica.stream,
                                 replica.in_sync, replica.goes_on});
      copies.homes.push_back({replica.host, replica.replaces});
    }
  }
  return state;
}

void Coordinator::Handle(TimePoint now, const Envelope& envelope, Outbox& outbox) {
  if (envelope.identity != nullptr && !PassIdentity(envelope, outbox)) return;
  std::visit(
      [&](const auto& message) {
        using Kind = std::decay_t<decltype(message)>;
        if constexpr (requires { On(message, now, envelope, outbox); }) {
          if (std::is_same_v<Kind, Hello> || PassStamp(envelope, outbox)) {
            On(message, now, envelope, outbox);
          }
        } else {
          Refuse(Refusal::kBadRequest, 0, "a coordinator does not take this kind of message",
                 envelope, outbox);
        }
      },
      envelope.message);
}

void Coordinator::Tick(TimePoint now, Outbox& outbox) {
  if (state_ == JobState::kFailed) return;
  ForgiveSilence(now);
  CheckStart(now);
  CheckLeases(now);
  CheckReplicas(now, outbox);
  CheckMoves(now, outbox);
  CheckShards(now);
  if (state_ == JobState::kFailed) return;
  if (state_ == JobState::kDone && !farewell_said_) SayFarewell(outbox);
  if (going_back_) {
    if (AllShardsAreBack(now)) GoBack(now, outbox);
  } else if (phase_ == Phase::kIdle && ChangeWanted(now)) {
    BeginCut(now, outbox);
  } else if (phase_ != Phase::kIdle && now - asked_at_ >= options_.retry_after) {
    SendCut(now, outbox);
  }
  if (saving_ && !saving_->whole) CheckSaving(now, outbox);
  TellHosts(outbox);
}

void Coordinator::On(const Hello& /*hello*/, TimePoint /*now*/, const Envelope& from,
                     Outbox& outbox) {
  Send(from.peer, from.stamp.from, Welcome{}, outbox);
}

void Coordinator::On(const Frozen& frozen, TimePoint now, const Envelope& from, Outbox& outbox) {
  ShardId id;
  if (FindShard(from, now, &id) == nullptr) return;
  if (phase_ != Phase::kFreezing || frozen.number != next_.number || going_back_) return;
  const bool restored = decided().number.value > 0 && (rollbacks_ > 0 || base_ != 0);
  if (restored && from.stamp.generation < decided().generation) {
    // Another shard's promotion came between: this one has restored nothing yet.
    Lose("shard " + std::to_string(id.value), " has not gone back with the others", now);
    return;
  }
  const auto known = [this](const RankState& s) { return s.rank.value < options_.ranks(); };
  if (!std::ranges::all_of(frozen.ranks, known)) return;
  frozen_.emplace(id, frozen);
  if (frozen_.size() == shards_.size()) FinishFreeze(now, outbox);
}

void Coordinator::On(const Installed& installed, TimePoint now, const Envelope& from,
                     Outbox& outbox) {
  ShardId id;
  if (FindShard(from, now, &id) == nullptr) return;
  if (phase_ != Phase::kInstalling || installed.number != next_.number || going_back_) return;
  installed_[id] = installed.number;
  if (installed_.size() == shards_.size()) FinishInstall(now, outbox);
}

void Coordinator::On(const Refused& refused, TimePoint now, const Envelope& from,
                     Outbox& /*outbox*/) {
  ShardId id;
  if (FindShard(from, now, &id) == nullptr || refused.code != Refusal::kFailed) return;
  if (refused.about < decided().number.value) return;  // Of a view that is given up.
  const std::string why = "shard " + std::to_string(id.value) + ": " + refused.words;
  if (!FallBack(why, now)) Fail(why);
}

void Coordinator::On(const Renew& renew, TimePoint now, const Envelope& from, Outbox& outbox) {
  RankStatus* rank = PassSender(renew.sender, from, outbox);
  if (rank == nullptr) return;
  rank->lease_until = now + options_.lease;
  rank->lease_peer = from.peer;
  rank->heard_at = now;
  if (rank->state == RankStatus::State::kSilent) rank->state = RankStatus::State::kTraining;
  Send(from.peer, from.stamp.from, Renewed{renew.sender.rank}, outbox);
}

void Coordinator::On(const Goodbye& goodbye, TimePoint /*now*/, const Envelope& from,
                     Outbox& outbox) {
  RankStatus* rank = PassSender(goodbye.sender, from, outbox);
  if (rank == nullptr) return;
  rank->peer = from.peer;
  if (goodbye.done && IsOfBefore(*rank, goodbye.sender.rank, from, outbox)) return;
  if (rank->state != RankStatus::State::kDone) {
    // While there is data to be used, nobody is needed no more.
    const bool done = goodbye.done && (!options_.data.leased || leases_.Over());
    rank->state = done ? RankStatus::State::kDone : RankStatus::State::kAbsent;
    rank->acked = goodbye.acked;
    changed_ = changed_ || (done && !Mutated(Mutation::kForgetGoodbye));
  }
  if (!goodbye.failure.empty() && !Mutated(Mutation::kForgetFailure)) {
    Fail("worker " + std::to_string(goodbye.sender.rank.value) + ": " + goodbye.failure);
  }
  const bool stays = rank->state == RankStatus::State::kDone && options_.snapshots.enabled;
  if (goodbye.done && stays && state_ != JobState::kDone) {
    TellOfEnd(from, outbox);
    return;
  }
  Send(from.peer, from.stamp.from, Farewell{goodbye.sender.rank}, outbox);
}

void Coordinator::On(const Report& report, TimePoint /*now*/, const Envelope& from,
                     Outbox& outbox) {
  RankStatus* rank = PassSender(report.sender, from, outbox);
  if (rank == nullptr) return;
  rank->peer = from.peer;
  if (from.stamp.generation < decided().generation) return;
  if (report.step >= rank->report.step) rank->report = report;
}

void Coordinator::On(const MakeTable& request, TimePoint /*now*/, const Envelope& from,
                     Outbox& outbox) {
  RankStatus* rank = PassSender(request.sender, from, outbox);
  if (rank == nullptr) return;
  rank->peer = from.peer;
  const TableSpec& spec = request.spec;
  const TablePlace* place = view_.FindTable(spec.name);
  if (place != nullptr && place->spec == spec) {
    unclaimed_.erase(spec.name);
    Send(from.peer, from.stamp.from, ViewIs{view_}, outbox);
    return;
  }
  const std::string problem = TableProblem(spec);
  if (!problem.empty()) {
    Refuse(Refusal::kBadRequest, 0, problem, from, outbox);
    return;
  }
  const TableSpec* known = KnownTable(spec.name);
  if (known != nullptr && *known == spec) return;
  if (known != nullptr) {
    update_changes_.push_back("table \"" + spec.name + "\" has " +
                              UpdateDifference(known->update.value_or(options_.update),
                                               spec.update.value_or(options_.update)));
    unclaimed_.erase(spec.name);
  }
  wanted_tables_.emplace(spec.name, spec);
}

// A table of a snapshot may go on with other settings of its update, as its first worker says.
std::string Coordinator::UpdateProblem(const TableSpec& is, const TableSpec& asked) const {
  const UpdateSettings before = is.update.value_or(options_.update);
  const UpdateSettings after = asked.update.value_or(options_.update);
  const std::string difference = UpdateDifference(before, after);
  const std::string name = "table \"" + is.name + "\"";
  if (!unclaimed_.contains(is.name)) {
    return "there is a " + name + " already with " +
           (difference.empty() ? "the job's own update; this asks for one of its own" : difference);
  }
  if (CanFollow(before, after)) return "";
  return name + " of the snapshot has " + difference +
         ", for which what was gathered is no good: keep the optimizer (optimizer.name, "
         "policy.exchange), or begin anew";
}

// The table of that name that there is, is decided, or is asked for.
const TableSpec* Coordinator::KnownTable(const std::string& name) const {
  const auto wanted = wanted_tables_.find(name);
  if (wanted != wanted_tables_.end()) return &wanted->second;
  const TablePlace* place = (Mutated(Mutation::kTableTwice) ? view_ : decided_).FindTable(name);
  return place == nullptr ? nullptr : &place->spec;
}

std::string Coordinator::TableProblem(const TableSpec& spec) const {
  const std::string name = "table \"" + spec.name + "\"";
  if (spec.name.empty() || spec.name.size() > kTableNameMax) {
    return "a table has a name of 1 to " + std::to_string(kTableNameMax) + " bytes";
  }
  if ((spec.size == 0) == (spec.dim == 0) || spec.size > kTableFloatsMax ||
      spec.dim > kRowFloatsMax) {
    return name + ": a table has 1 to 2^46 floats, or rows of 1 to 2^24";
  }
  const auto optimizer = MakeOptimizer(spec.update.value_or(options_.update));
  if (!optimizer.ok()) return name + ": " + optimizer.error().message;
  if (spec.sparse() && !spec.update && options_.update.rule == UpdateRule::kAverage) {
    // Its pushers would sum the rows of equal keys, as is right for gradients alone.
    return name + ": this job averages parameters (policy.exchange); name an update with the table";
  }
  const TableSpec* other = KnownTable(spec.name);
  if (other != nullptr) {
    const std::string shape = ShapeDifference(*other, spec);
    if (!shape.empty()) return "there is a " + name + " already with " + shape;
    return *other == spec ? "" : UpdateProblem(*other, spec);
  }
  uint64_t floats = spec.size;  // Far from what 64 bits hold: 2^12 tables of 2^46 at most.
  for (const TablePlace& place : decided_.tables) floats += place.spec.size;
  for (const auto& [wanted_name, wanted] : wanted_tables_) floats += wanted.size;
  if (floats > options_.table_bytes_max / sizeof(float)) {
    return name + " of " + std::to_string(spec.size) +
           " floats is more than cluster.table_bytes leaves for dense tables";
  }
  const size_t tables = decided_.tables.size() + wanted_tables_.size() + 1;
  if (tables <= kTablesMax && tables * shards_.size() <= kTablePartsMax) return "";
  return "a job has at most " + std::to_string(kTablesMax) + " tables, and " +
         std::to_string(kTablePartsMax) + " parts of tables on all shards";
}

void Coordinator::On(const GetView& /*request*/, TimePoint /*now*/, const Envelope& from,
                     Outbox& outbox) {
  Send(from.peer, from.stamp.from, ViewIs{view_}, outbox);
}

bool Coordinator::PassIdentity(const Envelope& from, Outbox& outbox) const {
  std::string forbidden = ForbiddenWords(from);
  if (forbidden.empty() || Mutated(Mutation::kTakeAnyKey)) return true;
  Refuse(Refusal::kForbidden, 0, std::move(forbidden), from, outbox);
  return false;
}

bool Coordinator::PassStamp(const Envelope& from, Outbox& outbox) {
  if (from.stamp.job != options_.job) {
    Refuse(Refusal::kWrongJob, 0, "this coordinator runs another job", from, outbox);
    return false;
  }
  if (from.stamp.to != options_.boot) {
    Refuse(Refusal::kWrongBoot, 0, "the process that this was meant for is gone", from, outbox);
    return false;
  }
  return true;
}

RankStatus* Coordinator::PassSender(const Sender& sender, const Envelope& from, Outbox& outbox) {
  if (sender.rank.value >= options_.ranks()) {
    Refuse(Refusal::kBadRank, sender.rank.value, "no such rank", from, outbox);
    return nullptr;
  }
  RankStatus& rank = ranks_[sender.rank.value];
  if (sender.incarnation != rank.incarnation || from.stamp.from != rank.boot) {
    Refuse(Refusal::kFenced, sender.rank.value,
           "another process holds rank " + std::to_string(sender.rank.value), from, outbox);
    return nullptr;
  }
  if (state_ == JobState::kFailed) {
    Refuse(Refusal::kFailed, sender.rank.value, words_, from, outbox);
    return nullptr;
  }
  return &rank;
}

void Coordinator::Send(PeerId peer, BootId boot, Message message, Outbox& outbox) const {
  const Stamp stamp{options_.job, view_.generation, epoch_, options_.boot, boot};
  outbox.push_back({peer, stamp, std::move(message)});
}

void Coordinator::Refuse(Refusal code, uint64_t about, std::string words, const Envelope& from,
                         Outbox& outbox) const {
  Send(from.peer, from.stamp.from, Refused{code, about, std::move(words)}, outbox);
}

}  // namespace shardmill
