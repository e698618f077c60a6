#include "tests/sim/hunt.h"

#include <array>

#include "sim/cluster.h"

namespace shardmill::sim {
namespace {

// A lost shard takes the job back to a snapshot where nobody has a copy, and no log does.
bool GoesBack(const Scenario& scenario) {
  return scenario.snapshot_every > Duration{} && scenario.lose_shard > 0 &&
         scenario.replicas == 0 && !scenario.logs;
}

// A lost primary has replicas, and there may be a snapshot: without one the job fails, which is
// seen.
bool MayGoBackInVain(const Scenario& scenario) {
  return scenario.snapshot_every > Duration{} && scenario.replicas > 0 && !scenario.leased();
}

// Where a shard has nothing but its copies, and these are told to stop and are lost.
bool MayLoseItsLastCopy(const Scenario& scenario) {
  return scenario.snapshot_every == Duration{} && scenario.leave > 0 && scenario.lose_shard > 0;
}

// Who has made all its steps says so once, and the coordinator may end; where there are snapshots
// it stays, and says so again.
bool LeavesAtOnce(const Scenario& scenario) {
  return scenario.snapshot_every == Duration{} && scenario.restart > 0 && scenario.workers > 1;
}

constexpr std::array kBugs{
    KnownBug{"StalenessOffByOne", Mutation::kStalenessOffByOne},
    KnownBug{"EndBeforeAllHeld", Mutation::kEndBeforeAllHeld},
    KnownBug{"ApplyRepeatedEnd", Mutation::kApplyRepeatedEnd},
    KnownBug{"UnfencedIncarnation", Mutation::kUnfencedIncarnation},
    KnownBug{"IgnoreBootId", Mutation::kIgnoreBootId},
    KnownBug{"ForgetPartialStep", Mutation::kForgetPartialStep},
    KnownBug{"EndWhileFrozen", Mutation::kEndWhileFrozen},
    KnownBug{"KeepOldAttempt", Mutation::kKeepOldAttempt},
    KnownBug{"TakeAnyAttempt", Mutation::kTakeAnyAttempt},
    KnownBug{"WriteWhatIsRead", Mutation::kWriteWhatIsRead},
    KnownBug{"StepPerWorker", Mutation::kStepPerWorker},
    KnownBug{"OrderOfArrival", Mutation::kOrderOfArrival},
    KnownBug{"RowsOneByOne", Mutation::kRowsOneByOne},
    KnownBug{"KeysOfAnyRank", Mutation::kKeysOfAnyRank},
    KnownBug{"CloseAlone", Mutation::kCloseAlone},
    KnownBug{"AckDiscarded", Mutation::kAckDiscarded},
    KnownBug{"DropEndsAtCut", Mutation::kDropEndsAtCut},
    KnownBug{"GrantTwice", Mutation::kGrantTwice},
    KnownBug{"ResumeTooEarly", Mutation::kResumeTooEarly},
    KnownBug{"ApplyNonfinite", Mutation::kApplyNonfinite},
    KnownBug{"ForgetNewLink", Mutation::kForgetNewLink},
    KnownBug{"TableTwice", Mutation::kTableTwice},
    KnownBug{"SkipOnOneShard", Mutation::kSkipOnOneShard},
    KnownBug{"DropSparseUnit", Mutation::kDropSparseUnit},
    KnownBug{"DropLastRow", Mutation::kDropLastRow},
    KnownBug{"EndAfterFailure", Mutation::kEndAfterFailure},
    KnownBug{"KeepEarlyAnswer", Mutation::kKeepEarlyAnswer},
    KnownBug{"ForgetFailure", Mutation::kForgetFailure},
    KnownBug{"SpeakBeforeWriting", Mutation::kSpeakBeforeWriting},
    KnownBug{"ForgetGoodbye", Mutation::kForgetGoodbye, LeavesAtOnce},
    KnownBug{"ForgetFreeze", Mutation::kForgetFreeze},
    KnownBug{"SnapshotSkew", Mutation::kSnapshotSkew},
    KnownBug{"ChangeImagedRows", Mutation::kChangeImagedRows},
    KnownBug{"ManifestFirst", Mutation::kManifestFirst},
    KnownBug{"ForgetSlots", Mutation::kForgetSlots},
    KnownBug{"KeepHeldUnits", Mutation::kKeepHeldUnits, GoesBack},
    KnownBug{"KeepSteps", Mutation::kKeepSteps},
    KnownBug{"StayAhead", Mutation::kStayAhead},
    KnownBug{"ForgetLastSnapshot", Mutation::kForgetLastSnapshot},
    KnownBug{"TakeAnyKey", Mutation::kTakeAnyKey},
    KnownBug{"KeepDeadEnd", Mutation::kKeepDeadEnd},
    KnownBug{"JoinAtZero", Mutation::kJoinAtZero},
    KnownBug{"ReturnWhole", Mutation::kReturnWhole},
    KnownBug{"LeaseBeforeWriting", Mutation::kLeaseBeforeWriting},
    KnownBug{"CutWithoutCursor", Mutation::kCutWithoutCursor},
    KnownBug{"ReturnNothing", Mutation::kReturnNothing},
    KnownBug{"AskNobody", Mutation::kAskNobody},
    KnownBug{"AnswerBeforeReplica", Mutation::kAnswerBeforeReplica},
    KnownBug{"PromoteAnyReplica", Mutation::kPromoteAnyReplica},
    KnownBug{"ForgetOwed", Mutation::kForgetOwed},
    KnownBug{"BeginAfterOwed", Mutation::kBeginAfterOwed},
    KnownBug{"InSyncTooEarly", Mutation::kInSyncTooEarly},
    KnownBug{"SameTerm", Mutation::kSameTerm},
    KnownBug{"CopyWithoutSlots", Mutation::kCopyWithoutSlots},
    KnownBug{"UncombinedWeights", Mutation::kUncombinedWeights},
    KnownBug{"AnswerBeforeSync", Mutation::kAnswerBeforeSync},
    KnownBug{"RetryFailedSync", Mutation::kRetryFailedSync},
    KnownBug{"LeaveWithoutHeir", Mutation::kLeaveWithoutHeir},
    KnownBug{"TakeOldWord", Mutation::kTakeOldWord, MayLoseItsLastCopy},
    KnownBug{"ForgetHeldUnits", Mutation::kForgetHeldUnits},
    KnownBug{"MoveUngated", Mutation::kMoveUngated},
    KnownBug{"WaitForNobody", Mutation::kWaitForNobody, MayGoBackInVain},
};

// Sets the mutation for one scope, so that no hunt leaves it on.
class Switched final {
 public:
  explicit Switched(Mutation mutation) { active_mutation = mutation; }
  ~Switched() { active_mutation = Mutation::kNone; }
  Switched(const Switched&) = delete;
  Switched& operator=(const Switched&) = delete;
};

}  // namespace

std::span<const KnownBug> KnownBugs() { return kBugs; }

Catch Hunt(const KnownBug& bug, uint64_t histories_max) {
  const Switched switched(bug.mutation);
  FramePool frames(FramePool::Memory::kPrivate);
  uint64_t histories = 0;
  for (uint64_t seed = 1; histories < histories_max; ++seed) {
    const Scenario scenario = Scenario::FromSeed(seed);
    if (bug.may_show != nullptr && !bug.may_show(scenario)) continue;
    ++histories;
    const Outcome outcome = Cluster(scenario, frames).Run();
    if (!outcome.violations.empty()) return {true, seed, outcome.violations.front()};
  }
  return {};
}

}  // namespace shardmill::sim
