#include "server/step_tracker.h"

#include <algorithm>

#include "common/assert.h"
#include "common/mutation.h"

namespace shardmill {
namespace {

uint64_t RoundsOf(Step step, int64_t base) {
  // Unsigned: a step from the network may be any number, and signed overflow is not defined.
  const uint64_t rounds = step - static_cast<uint64_t>(base);
  return static_cast<int64_t>(rounds) > 0 ? rounds : 0;
}

}  // namespace

void StepTracker::Install(const View& view) {
  policy_ = view.policy;
  closed_min_ = view.closed;
  for (auto& [rank, state] : ranks_) state.member = false;
  for (const Member& member : view.members) {
    Rank& state = ranks_[member.rank];
    state.base = member.base;
    state.member = true;
  }
  Recount();
}

void StepTracker::Restore(const std::vector<RankState>& cut) {
  for (const RankState& from : cut) {
    Rank& state = ranks_[from.rank];
    SM_ASSERT(state.ended == 0);
    state.ended = from.ended;
    state.samples = from.samples;
    state.applied = from.applied;
    state.counted = from.counted;
    state.discarded = from.discarded;
    state.attempt = from.attempt;
    state.used = from.used;
  }
  Recount();
}

void StepTracker::Finish(const Contribution& made) {
  Rank& state = ranks_.at(made.rank);
  SM_ASSERT(made.step == state.ended + 1 || Mutated(Mutation::kApplyRepeatedEnd));
  state.ended = made.step;
  if (made.discarded) {
    ++state.discarded;
  } else {
    state.samples = made.samples;
    state.counted = made.step;
    state.attempt = made.attempt;
    state.used = made.used;
    ++state.applied;
  }
  Recount();
}

uint64_t StepTracker::RoundOf(WorkerId rank, Step step) const {
  return RoundsOf(step, At(rank).base);
}

uint64_t StepTracker::ReadRound(WorkerId rank, Step step) const {
  return step == 0 ? 0 : RoundsOf(step - 1, At(rank).base);
}

bool StepTracker::MayRead(WorkerId rank, Step step, uint64_t closed_min) const {
  if (closed_ < closed_min) return false;
  // A worker reads its own pushes: they have come in by the order of its steps.
  if (policy_.apply == ApplyRule::kOnArrival && At(rank).ended + 1 < step) return false;
  if (!policy_.bounded) return true;
  const uint64_t ahead = Mutated(Mutation::kStalenessOffByOne) ? 1 : 0;
  return ReadRound(rank, step) <= closed_ + policy_.staleness + ahead;
}

std::optional<WorkerId> StepTracker::Slowest() const {
  for (const auto& [rank, state] : ranks_) {
    if (state.member && RoundsOf(state.ended, state.base) == closed_) return rank;
  }
  return std::nullopt;
}

std::vector<RankState> StepTracker::States() const {
  std::vector<RankState> states;
  for (const auto& [rank, state] : ranks_) {
    states.push_back({rank, state.ended, state.samples, state.applied, state.counted,
                      state.discarded, state.attempt, state.used});
  }
  return states;
}

const StepTracker::Rank& StepTracker::At(WorkerId rank) const {
  const auto found = ranks_.find(rank);
  SM_ASSERT(found != ranks_.end());
  return found->second;
}

void StepTracker::Recount() {
  std::optional<uint64_t> fewest;
  for (const auto& [rank, state] : ranks_) {
    if (!state.member) continue;
    const uint64_t rounds = RoundsOf(state.ended, state.base);
    fewest = std::min(fewest.value_or(rounds), rounds);
  }
  // A new primary may lack a step that the view counts.
  closed_ = fewest.value_or(closed_min_);
}

}  // namespace shardmill
