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
};

#ifdef SHARDMILL_MUTATIONS
// Test builds only; one simulated cluster lives on one thread.
inline thread_local Mutation active_mutation = Mutation::kNone;
inline bool Mutated(Mutation mutation) { return active_mutation == mutation; }
#else
constexpr bool Mutated(Mutation) { return false; }
#endif

}  // namespace shardmill
