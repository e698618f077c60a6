#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "common/messages.h"
#include "common/mutation.h"
#include "server/log_entry.h"

namespace shardmill {

// A unit, and its keys where it has some.
struct HeldUnit {
  Unit unit;
  std::shared_ptr<KeyRows> keys;  // See ChangePart.
  bool nonfinite = false;
};

// The units of steps that have not been applied, by rank: at most one step a rank, since a rank's
// next step begins when this one is applied. Memory is bounded by a share for each rank, so that no
// rank can take the room that another needs to finish its round. Owned by a Shard, on its thread.
class HeldUnits final {
 public:
  enum class Kept : uint8_t { kYes, kAlready, kTooLarge };

  // `rank_bytes_max` bounds what is held for one rank; `units_max` the number of its units.
  HeldUnits(uint64_t rank_bytes_max, uint32_t units_max);

  // The share changes with the number of members; what is held stays.
  void SetShare(uint64_t rank_bytes_max) { rank_bytes_max_ = rank_bytes_max; }

  // Keeps a unit of the rank's next step. A later attempt at the step drops the earlier one; a unit
  // of an earlier one counts as kept already, since nobody waits for it.
  Kept Keep(HeldUnit held);

  // Whether Keep would answer kAlready.
  bool Has(const Unit& unit) const;

  // Calls `visit(held)` for each unit.
  template <class Visit>
  void ForEach(Visit visit) const {
    for (const auto& [who, rank] : ranks_) {
      for (const HeldUnit& held : rank.units) visit(held);
    }
  }

  // Forgets what came before this attempt at the step: no unit of it may have come here since.
  void DropBefore(WorkerId rank, Step step, uint32_t attempt);

  // The units that are held of this attempt at the step.
  uint32_t Count(WorkerId rank, Step step, uint32_t attempt) const;
  bool Nonfinite(WorkerId rank, Step step) const;

  // Whether exactly the units 0 .. units - 1 of this attempt at the step are held.
  bool Whole(WorkerId rank, Step step, uint32_t attempt, uint32_t units) const;

  // Calls `take(held)` for each unit of this attempt at the step, in the order of their indexes,
  // and forgets them and those of any other.
  template <class TakeOne>
  void Take(WorkerId rank, Step step, uint32_t attempt, TakeOne take) {
    const auto found = ranks_.find(rank);
    if (found == ranks_.end() || found->second.step != step) return;
    if (found->second.attempt == attempt || Mutated(Mutation::kTakeAnyAttempt)) {
      for (HeldUnit& held : found->second.units) take(held);
    }
    Drop(rank);
  }

  // Forgets what the rank has sent.
  void Drop(WorkerId rank);

  uint64_t bytes() const { return bytes_; }

 private:
  struct Rank {
    Step step = 0;
    uint32_t attempt = 0;
    uint64_t bytes = 0;
    std::vector<HeldUnit> units;  // By index.
  };

  const Rank* Find(WorkerId rank, Step step) const;

  uint64_t rank_bytes_max_;
  uint32_t units_max_;
  uint64_t bytes_ = 0;
  std::map<WorkerId, Rank> ranks_;
};

}  // namespace shardmill
