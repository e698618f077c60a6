#include "server/coordinator.h"

#include <algorithm>
#include <type_traits>
#include <utility>

#include "common/assert.h"
#include "common/identity.h"
#include "common/mutation.h"
#include "optim/optimizer.h"

namespace shardmill {

namespace {

// What the one has and the other asks for, where that is not the same.
std::string Differs(const TableSpec& is, const TableSpec& asked) {
  const auto words = [](const char* what, uint64_t has, uint64_t wants) {
    return std::to_string(has) + " " + what + "; this asks for " + std::to_string(wants);
  };
  if (is.dim != asked.dim) return words("floats a row", is.dim, asked.dim);
  if (is.size != asked.size) return words("floats", is.size, asked.size);
  if (!(is.initial == asked.initial)) return "other first values";
  return "another optimizer";
}

}  // namespace

Coordinator::Coordinator(const CoordinatorOptions& options, TimePoint now)
    : options_(options), started_(now), ranks_(options.workers), shards_(options.shards) {
  view_.policy = options.policy;
  view_.generation = Generation{1};
  if (options.resume) {
    view_.generation = options.resume->view.generation.Next();
    snapshot_closed_ = ClosedAt(options.resume->cut);
    last_ = options.resume;
    base_ = options.resume->number;
  }
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
    // Nobody was declared dead meanwhile, and nobody is before a lease has passed from now on.
    rank.lease_until = now + options_.lease;
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
    next_ = decided;
    view_.generation = decided.generation;
    view_.number = ViewNumber{decided.number.value - 1};
    phase_ = Phase::kInstalling;
    asked_at_ = now;
    state_ = JobState::kTraining;
    recut_ = !Mutated(Mutation::kForgetFreeze);
  }
  if (before.done) {
    view_ = next_;
    phase_ = Phase::kIdle;
    state_ = JobState::kDone;
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
  if (saving_ && !saving_->whole && now - saving_->asked_at >= options_.retry_after) {
    AskSaved(now, outbox);
  }
}

void Coordinator::On(const Hello& hello, TimePoint /*now*/, const Envelope& from, Outbox& outbox) {
  if (hello.version_min > kProtocolVersionMax || hello.version_max < kProtocolVersionMin) {
    Refuse(Refusal::kVersion, 0, "no protocol version in common", from, outbox);
    return;
  }
  Send(from.peer, from.stamp.from, Welcome{std::min(hello.version_max, kProtocolVersionMax)},
       outbox);
}

void Coordinator::On(const Frozen& frozen, TimePoint now, const Envelope& from, Outbox& outbox) {
  ShardId id;
  if (FindShard(from, now, &id) == nullptr) return;
  if (phase_ != Phase::kFreezing || frozen.number != next_.number || going_back_) return;
  const auto known = [this](const RankState& s) { return s.rank.value < options_.workers; };
  if (!std::ranges::all_of(frozen.ranks, known)) return;
  frozen_.emplace(id, frozen.ranks);
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
  Fail("shard " + std::to_string(id.value) + ": " + refused.words);
}

void Coordinator::On(const Join& join, TimePoint now, const Envelope& from, Outbox& outbox) {
  if (join.rank.value >= options_.workers) {
    Refuse(Refusal::kBadRank, join.rank.value,
           "there is no rank " + std::to_string(join.rank.value) + "; the job has " +
               std::to_string(options_.workers) + " workers, counted from 0",
           from, outbox);
    return;
  }
  if (state_ == JobState::kFailed || state_ == JobState::kDone) {
    Refuse(Refusal::kFailed, join.rank.value,
           state_ == JobState::kDone ? "the job is done" : "the job has failed: " + words_, from,
           outbox);
    return;
  }
  RankStatus& rank = ranks_[join.rank.value];
  const bool same = rank.boot == from.stamp.from;
  if (rank.state == RankStatus::State::kDone && same) return;  // From before its goodbye.
  if (rank.state == RankStatus::State::kDone && !options_.snapshots.enabled) {
    Refuse(Refusal::kFailed, join.rank.value, "this rank has made all its steps", from, outbox);
    return;
  }
  if (std::ranges::find(rank.fenced, from.stamp.from) != rank.fenced.end()) {
    // A late message of a process that lost the rank must not take it from the one that has it.
    Refuse(Refusal::kFenced, join.rank.value,
           "another process holds rank " + std::to_string(join.rank.value), from, outbox);
    return;
  }
  const bool held = rank.state == RankStatus::State::kWaiting ||
                    rank.state == RankStatus::State::kTraining ||
                    (rank.state == RankStatus::State::kDone && now < rank.lease_until);
  if (!same && held) {
    Refuse(Refusal::kRankHeld, join.rank.value,
           "another process holds rank " + std::to_string(join.rank.value) +
               "; it is free when that one says goodbye or its lease ends",
           from, outbox);
    return;
  }
  if (same && rank.granted) {
    // Its answer was lost, or this is a repeat of a Join from before; after a goodbye, surely that.
    if (rank.state == RankStatus::State::kAbsent) return;
    rank.state = RankStatus::State::kTraining;
    rank.peer = from.peer;  // Its link may be another since.
    rank.lease_until = now + options_.lease;
    const Member* member = view_.FindMember(join.rank);
    const bool installed = member != nullptr && member->incarnation == rank.incarnation &&
                           view_.generation == decided().generation;
    if (installed) Grant(rank, join.rank, outbox);
    return;
  }
  if (!same && rank.granted) {
    rank.fenced.push_back(rank.boot);
    if (rank.fenced.size() > kFencedBootsMax) rank.fenced.pop_front();
    rank.granted = false;
  }
  rank.peer = from.peer;
  rank.lease_peer = from.peer;
  rank.boot = from.stamp.from;
  // One that waits shows itself by asking again, which may be less often than leases are long.
  rank.lease_until = now + std::max(options_.lease, 3 * options_.retry_after);
  rank.heard_at = now;
  rank.state = RankStatus::State::kWaiting;
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
    rank->state = goodbye.done ? RankStatus::State::kDone : RankStatus::State::kAbsent;
    rank->acked = goodbye.acked;
    changed_ = changed_ || (goodbye.done && !Mutated(Mutation::kForgetGoodbye));
  }
  if (!goodbye.failure.empty() && !Mutated(Mutation::kForgetFailure)) {
    Fail("worker " + std::to_string(goodbye.sender.rank.value) + ": " + goodbye.failure);
  }
  if (goodbye.done && options_.snapshots.enabled && state_ != JobState::kDone) {
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
    Send(from.peer, from.stamp.from, ViewIs{view_}, outbox);
    return;
  }
  const std::string problem = TableProblem(spec);
  if (!problem.empty()) {
    Refuse(Refusal::kBadRequest, 0, problem, from, outbox);
    return;
  }
  if (KnownTable(spec.name) == nullptr) wanted_tables_.emplace(spec.name, spec);
}

// The table of that name that there is, will be after the cut under way, or is asked for.
const TableSpec* Coordinator::KnownTable(const std::string& name) const {
  const bool taking = phase_ == Phase::kInstalling && !Mutated(Mutation::kTableTwice);
  const View& view = taking ? next_ : view_;
  const TablePlace* place = view.FindTable(name);
  if (place != nullptr) return &place->spec;
  const auto wanted = wanted_tables_.find(name);
  return wanted == wanted_tables_.end() ? nullptr : &wanted->second;
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
    return *other == spec ? "" : "there is a " + name + " already with " + Differs(*other, spec);
  }
  uint64_t floats = spec.size;  // Far from what 64 bits hold: 2^12 tables of 2^46 at most.
  for (const TablePlace& place : view_.tables) floats += place.spec.size;
  for (const auto& [wanted_name, wanted] : wanted_tables_) floats += wanted.size;
  if (floats > options_.table_bytes_max / sizeof(float)) {
    return name + " of " + std::to_string(spec.size) +
           " floats is more than cluster.table_bytes leaves for dense tables";
  }
  const size_t tables = view_.tables.size() + wanted_tables_.size() + 1;
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
  if (sender.rank.value >= options_.workers) {
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

void Coordinator::Grant(const RankStatus& rank, WorkerId id, Outbox& outbox) const {
  Granted granted{id, rank.incarnation, 0};
  for (const RankState& state : cut_) {
    if (state.rank == id) granted.ended = state.ended;
    if (Mutated(Mutation::kResumeTooEarly) && granted.ended > 0) --granted.ended;
  }
  // The view first: who has seen a later generation takes no word of an earlier one.
  Send(rank.peer, rank.boot, ViewIs{view_}, outbox);
  Send(rank.peer, rank.boot, granted, outbox);
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
