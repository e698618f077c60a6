// The part of Coordinator that lets workers in and out, and leases data to them.

#include <algorithm>
#include <utility>

#include "common/identity.h"
#include "common/mutation.h"
#include "server/coordinator.h"

namespace shardmill {

void Coordinator::On(const shardmill::Join& join, TimePoint now, const Envelope& from,
                     Outbox& outbox) {
  const bool any = join.any && (from.identity == nullptr || !from.identity->rank);
  if (!join.any) return Join(join.rank, any, now, from, outbox);
  const auto lost = [&](const RankStatus& rank) {
    return rank.boot != from.stamp.from &&
           std::ranges::find(rank.fenced, from.stamp.from) != rank.fenced.end();
  };
  if (std::ranges::any_of(ranks_, lost)) {
    Refuse(Refusal::kFenced, 0, "this process has lost its rank", from, outbox);
    return;
  }
  const std::optional<WorkerId> rank = FreeRank(from);
  // No rank comes free in a job that has ended: which it hears as well as any other.
  const bool ended = state_ == JobState::kFailed || state_ == JobState::kDone;
  if (rank || ended) return Join(rank.value_or(WorkerId{0}), any, now, from, outbox);
  Refuse(Refusal::kRankHeld, 0,
         "all " + std::to_string(ranks_.size()) + " ranks are held (" +
             (options_.elastic() ? "cluster.workers_max" : "cluster.workers") + ")",
         from, outbox);
}

// The one that the sender has or waits for; or else the lowest that is nobody's, and that its key
// may have.
std::optional<WorkerId> Coordinator::FreeRank(const Envelope& from) const {
  using State = RankStatus::State;
  const Identity* who = from.identity;
  if (who != nullptr && who->rank) return who->rank;
  for (uint32_t i = 0; i < ranks_.size(); ++i) {
    const State state = ranks_[i].state;
    const bool active = state != State::kAbsent && state != State::kDone;
    if (active && ranks_[i].boot == from.stamp.from) return WorkerId{i};
  }
  for (const State wanted : {State::kAbsent, State::kSilent}) {
    if (wanted == State::kSilent && options_.elastic()) break;  // It leaves first.
    for (uint32_t i = 0; i < ranks_.size(); ++i) {
      const bool bound =
          who != nullptr && who->bound != nullptr && who->bound->contains(WorkerId{i});
      if (ranks_[i].state == wanted && !bound) return WorkerId{i};
    }
  }
  return {};
}

void Coordinator::Join(WorkerId id, bool any, TimePoint now, const Envelope& from, Outbox& outbox) {
  if (id.value >= options_.ranks()) {
    Refuse(Refusal::kBadRank, id.value,
           "there is no rank " + std::to_string(id.value) + "; the job has " +
               std::to_string(options_.ranks()) + " workers, counted from 0",
           from, outbox);
    return;
  }
  if (state_ == JobState::kFailed) {
    Refuse(Refusal::kFailed, id.value, "the job has failed: " + words_, from, outbox);
    return;
  }
  if (state_ == JobState::kDone) {
    Refuse(Refusal::kDone, id.value, "the job is done", from, outbox);
    return;
  }
  RankStatus& rank = ranks_[id.value];
  const bool same = rank.boot == from.stamp.from;
  if (rank.state == RankStatus::State::kDone && same) return;  // From before its goodbye.
  if (ComesTooLate(rank, from)) {
    Refuse(Refusal::kDone, id.value, "this rank has made all its steps", from, outbox);
    return;
  }
  if (std::ranges::find(rank.fenced, from.stamp.from) != rank.fenced.end()) {
    // A late message of a process that lost the rank must not take it from the one that has it. Of
    // one that has left by itself it is a repeat from before.
    if (same) return;
    Refuse(Refusal::kFenced, id.value, "another process holds rank " + std::to_string(id.value),
           from, outbox);
    return;
  }
  // Before the job begins, who wants this rank alone goes first; the other one asks again, and gets
  // one that is free.
  const bool yields = decided().number.value == 0 && rank.any && !any;
  const bool held = (rank.state == RankStatus::State::kWaiting && !yields) ||
                    rank.state == RankStatus::State::kTraining ||
                    (rank.state == RankStatus::State::kDone && now < rank.lease_until);
  if (!same && held) {
    Refuse(Refusal::kRankHeld, id.value,
           "another process holds rank " + std::to_string(id.value) +
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
    const Member* member = view_.FindMember(id);
    const bool installed = member != nullptr && member->incarnation == rank.incarnation &&
                           view_.generation == decided().generation;
    if (installed) Grant(rank, id, outbox);
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
  rank.any = any;
  rank.state = RankStatus::State::kWaiting;
}

// Whether there is nothing left to do for the sender in that rank.
bool Coordinator::ComesTooLate(const RankStatus& rank, const Envelope& from) const {
  using State = RankStatus::State;
  if (rank.state == State::kDone && !options_.snapshots.enabled) return true;
  // A job that begins from the snapshot of one that was over has its workers all the same, and ends
  // with them.
  if (!options_.elastic() || decided().number.value == 0 || !leases_.Over()) return false;
  return rank.boot != from.stamp.from || (!rank.granted && rank.state != State::kWaiting);
}

// Whether the rank, which is a member, is none after the next cut.
bool Coordinator::Leaves(const RankStatus& rank) const {
  using State = RankStatus::State;
  // Who is done makes no more steps, and nobody is to wait for any.
  if (rank.state == State::kDone) return options_.data.leased;
  return options_.elastic() && (rank.state == State::kAbsent || rank.state == State::kSilent);
}

bool Coordinator::SomebodyLeaves() const {
  return std::ranges::any_of(
      view_.members, [this](const Member& member) { return Leaves(ranks_[member.rank.value]); });
}

// Whether nobody has anything left to do.
bool Coordinator::AllDone() const {
  using State = RankStatus::State;
  const bool may_be_absent = options_.elastic() && leases_.Over();
  return std::ranges::all_of(ranks_, [&](const RankStatus& rank) {
    return rank.state == State::kDone || (may_be_absent && rank.state == State::kAbsent);
  });
}

// What the cut means for ranks that leave, and for those that another process takes: what they have
// not used comes back, and a process that is only silent has lost its rank.
void Coordinator::LetGo() {
  using State = RankStatus::State;
  if (!options_.data.leased) return;
  for (const Member& member : decided_.members) {
    RankStatus& rank = ranks_[member.rank.value];
    const bool leaves = Leaves(rank);
    if (!leaves && rank.state != State::kWaiting) continue;
    const auto state = std::ranges::find(cut_, member.rank, &RankState::rank);
    if (!Mutated(Mutation::kReturnNothing)) {
      leases_.Return(member.rank, state == cut_.end() ? DataCursor{} : state->used);
    }
    rank.hungry = false;
    if (!leaves || rank.state == State::kDone) continue;
    // Or else it was fenced when another process asked for the rank, which has given up since.
    if (rank.granted) rank.fenced.push_back(rank.boot);
    if (rank.fenced.size() > kFencedBootsMax) rank.fenced.pop_front();
    rank.granted = false;
    if (rank.state == State::kSilent) rank.boot = BootId{};
    rank.state = State::kAbsent;
  }
}

Step Coordinator::EndedAt(WorkerId rank) const {
  const auto state = std::ranges::find(cut_, rank, &RankState::rank);
  return state == cut_.end() ? 0 : state->ended;
}

// Rounds that have closed at the cut under way, by those who stay; or where nobody does, by those
// who were there. It never goes back, whoever comes and goes.
uint64_t Coordinator::ClosedAtCut() const {
  if (!options_.data.leased) return 0;
  const bool restores = decided_.number.value == 0 && options_.resume;
  if (restores) return ClosedOf(*options_.resume);
  std::optional<int64_t> of_staying;
  std::optional<int64_t> of_all;
  for (const Member& member : decided_.members) {
    const int64_t rounds = static_cast<int64_t>(EndedAt(member.rank)) - member.base;
    of_all = std::min(of_all.value_or(rounds), rounds);
    if (Leaves(ranks_[member.rank.value])) continue;
    of_staying = std::min(of_staying.value_or(rounds), rounds);
  }
  const int64_t rounds = of_staying.value_or(of_all.value_or(0));
  return std::max(decided_.closed, static_cast<uint64_t>(std::max<int64_t>(rounds, 0)));
}

// The same of a snapshot.
uint64_t Coordinator::ClosedOf(const Manifest& from) {
  std::optional<int64_t> fewest;
  for (const Member& member : from.view.members) {
    const auto state = std::ranges::find(from.cut, member.rank, &RankState::rank);
    const Step ended = state == from.cut.end() ? 0 : state->ended;
    const int64_t rounds = static_cast<int64_t>(ended) - member.base;
    fewest = std::min(fewest.value_or(rounds), rounds);
  }
  return std::max(from.view.closed,
                  static_cast<uint64_t>(std::max<int64_t>(fewest.value_or(0), 0)));
}

// The job goes back to its last snapshot, and what was used since is to be used again. All who are
// there go on, also those who were done.
void Coordinator::GoBackWithData(View& next) {
  leases_.Restore(last_ ? last_->data : DataState{});
  next.closed = last_ ? ClosedOf(*last_) : 0;
  for (uint32_t i = 0; i < ranks_.size(); ++i) {
    ranks_[i].hungry = false;
    const bool done = ranks_[i].state == RankStatus::State::kDone && ranks_[i].granted;
    if (done && next.FindMember(WorkerId{i}) == nullptr) {
      next.members.push_back({WorkerId{i}, ranks_[i].incarnation, 0});
    }
  }
  std::ranges::sort(next.members, {}, &Member::rank);
  for (Member& member : next.members) {
    member.base = static_cast<int64_t>(EndedAt(member.rank) - next.closed);
  }
}

void Coordinator::On(const GetLease& request, TimePoint /*now*/, const Envelope& from,
                     Outbox& outbox) {
  RankStatus* rank = PassSender(request.sender, from, outbox);
  if (rank == nullptr || rank->state == RankStatus::State::kAbsent) return;
  if (!options_.data.leased) {
    Refuse(Refusal::kBadRequest, 0, "this job does not lease its data (data.scheme)", from, outbox);
    return;
  }
  rank->peer = from.peer;
  if (IsOfBefore(*rank, request.sender.rank, from, outbox)) return;
  const bool first = leases_.state().rows == 0;
  const std::string problem = leases_.Begin(request.rows);
  if (!problem.empty()) {
    Refuse(Refusal::kBadRequest, 0, problem, from, outbox);
    return;
  }
  const bool used = leases_.Use(request.sender.rank, request.used);
  if ((first || used) && !Mutated(Mutation::kLeaseBeforeWriting)) changed_ = true;
  rank->hungry = false;
  Feed(request.sender.rank, request.have, outbox);
  if (leases_.Over()) FeedHungry(outbox);
}

// Says what the rank has after `have`. Where that is nothing, it hears when there is something.
void Coordinator::Feed(WorkerId id, uint64_t have, Outbox& outbox) {
  RankStatus& rank = ranks_[id.value];
  if (leases_.Grant(id) && !Mutated(Mutation::kLeaseBeforeWriting)) changed_ = true;
  Leased leased{id, leases_.HeldAfter(id, have), leases_.Over()};
  const bool again = rank.hungry;
  rank.hungry = leased.leases.empty() && !leased.over;
  if (again && rank.hungry) return;
  Send(rank.peer, rank.boot, std::move(leased), outbox);
}

void Coordinator::FeedHungry(Outbox& outbox) {
  for (uint32_t i = 0; i < ranks_.size(); ++i) {
    if (ranks_[i].hungry) Feed(WorkerId{i}, 0, outbox);
  }
}

void Coordinator::Grant(const RankStatus& rank, WorkerId id, Outbox& outbox) const {
  Granted granted{id, rank.incarnation, 0};
  for (const RankState& state : cut_) {
    const bool late = Mutated(Mutation::kBeginAfterOwed);
    if (state.rank == id) granted.ended = late ? state.ended : state.whole.value_or(state.ended);
    if (Mutated(Mutation::kResumeTooEarly) && granted.ended > 0) --granted.ended;
  }
  // The view first: who has seen a later generation takes no word of an earlier one.
  Send(rank.peer, rank.boot, ViewIs{view_}, outbox);
  Send(rank.peer, rank.boot, granted, outbox);
}

}  // namespace shardmill
