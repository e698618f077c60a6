#pragma once

#include <cstdint>

namespace shardmill {

// Known bugs that a test build can switch on, one at a time, to prove that the simulator sees them.
enum class Mutation : uint8_t {
  kNone,
  kStalenessOffByOne,    // A pull is served one round too early.
  kEndBeforeAllHeld,     // The client ends a step while units are still unanswered.
  kApplyRepeatedEnd,     // A repeated End is applied again.
  kUnfencedIncarnation,  // A shard takes messages of an incarnation that was replaced.
  kIgnoreBootId,         // A shard takes messages meant for the process before it.
  kForgetPartialStep,    // A cut does not complete the step that another shard has applied.
  kEndWhileFrozen,       // A shard takes an End during a cut.
  kKeepOldAttempt,       // What was pushed before a step was begun anew is applied with it.
  kTakeAnyAttempt,       // Units of an attempt that was given up are applied for a later one.
  kWriteWhatIsRead,      // A chunk is written while an answer still references it.
  kStepPerWorker,        // A round is as many optimizer steps as it has members.
  kOrderOfArrival,       // A round is summed as its Ends came, not by rank.
  kRowsOneByOne,         // Pushes to one row are steps of their own.
  kKeysOfAnyRank,        // A list of keys is found by its name alone, whoever sent it.
  kCloseAlone,           // Each shard closes rounds by the Ends that it has itself.
  kAckDiscarded,         // A push that came too late is answered as if it counted.
  kDropEndsAtCut,        // A cut forgets the units of everybody.
  kGrantTwice,           // A rank is granted again under the same incarnation.
  kResumeTooEarly,       // A rank is granted from the step before the one it has ended.
  kApplyNonfinite,       // Nobody looks whether a gradient is a number.
  kForgetNewLink,        // The coordinator keeps to the link that a shard first came by.
  kTableTwice,           // A table is made again while the view that has it is being taken.
  kSkipOnOneShard,       // A step is left out on the shard that saw the NaN, and applied elsewhere.
  kDropSparseUnit,       // A unit of a sparse table is dropped when its step is applied.
  kDropLastRow,          // The last row of a sparse unit is not changed, where it has several.
  kEndAfterFailure,      // A worker that may not push ends the step all the same.
  kKeepEarlyAnswer,      // What was read for a step that is passed over serves the one after it.
  kTakeAnyKey,           // Whoever is let in may say everything.
  kForgetFailure,        // A worker that cannot go on is taken for one that will come back.
  kSpeakBeforeWriting,   // A decided view leaves a coordinator that has not written it down.
  kForgetGoodbye,        // A coordinator does not write down who has made all its steps.
  kForgetFreeze,         // A coordinator does not think of the cut that the one before had begun.
  kSnapshotSkew,         // A shard takes its image of a cut some time after the cut.
  kChangeImagedRows,     // A row of an image that is being written changes in the image, too.
  kManifestFirst,        // A manifest is written when the first shard has written its file.
  kForgetSlots,          // A shard that is restored has no optimizer state.
  kKeepHeldUnits,        // A shard keeps held units when the job goes back to a snapshot.
  kKeepSteps,            // A shard keeps what was ended when the job goes back to a snapshot.
  kStayAhead,            // A worker does not go back when the job does.
  kForgetLastSnapshot,   // The job goes back to an older snapshot than the last.
  kKeepDeadEnd,          // A cut keeps the End of a worker that is no member any more.
  kJoinAtZero,           // Who joins late counts its rounds from the first.
  kReturnWhole,          // What a dead worker has used of a lease comes back with the rest.
  kLeaseBeforeWriting,   // A lease leaves a coordinator that has not written it down.
  kCutWithoutCursor,     // A step that a cut completes does not say what data it used.
  kReturnNothing,        // What a dead worker has not used is nobody's.
  kAskNobody,            // A worker waits for a shard without asking whether it is another by now.
  kAnswerBeforeReplica,  // A primary answers before its replicas have what the answer shows.
  kPromoteAnyReplica,    // A replica that is not in sync becomes primary.
  kForgetOwed,           // A new primary completes a cut's steps from what it does not hold.
  kBeginAfterOwed,     // Who comes in a dead worker's place begins after a step that a shard lacks.
  kInSyncTooEarly,     // A replica counts as in sync before it has all its primary has.
  kSameTerm,           // A shard's new primary has the term of the one before it.
  kCopyWithoutSlots,   // A new replica has no optimizer state.
  kLeaveWithoutHeir,   // A primary is told to go before another has what it has.
  kTakeOldWord,        // What is heard of a process is taken for said just now.
  kUncombinedWeights,  // A replica weighs a sum again that its primary has weighed.
  kAnswerBeforeSync,   // A primary answers before its log has what the answer shows.
  kForgetHeldUnits,    // A worker keeps nothing of what a shard holds.
  kMoveUngated,        // A shard that goes to another server answers before that one has it, too.
  kRetryFailedSync,    // What could not be synced is synced once more, and taken for written.
  kWaitForNobody,      // The job goes back though a replica that has all is only late.
};

#ifdef SHARDMILL_MUTATIONS
// Test builds only; one simulated cluster lives on one thread.
inline thread_local Mutation active_mutation = Mutation::kNone;
inline bool Mutated(Mutation mutation) { return active_mutation == mutation; }
#else
constexpr bool Mutated(Mutation) { return false; }
#endif

}  // namespace shardmill
