#include "server/held_units.h"

#include <algorithm>
#include <utility>

#include "common/mutation.h"

namespace shardmill {

HeldUnits::HeldUnits(uint64_t rank_bytes_max, uint32_t units_max)
    : rank_bytes_max_(rank_bytes_max), units_max_(units_max) {}

HeldUnits::Kept HeldUnits::Keep(HeldUnit held) {
  const Unit& unit = held.unit;
  const WorkerId who = unit.sender.rank;
  const Rank* before = Find(who, unit.step);
  if (Has(unit)) return Kept::kAlready;
  const bool anew = before != nullptr && unit.attempt > before->attempt;
  if (before == nullptr || (anew && !Mutated(Mutation::kKeepOldAttempt))) Drop(who);
  Rank& rank = ranks_[who];
  rank.step = unit.step;
  rank.attempt = unit.attempt;
  const uint64_t size = unit.gradient.size() + (held.keys ? held.keys->bytes() : 0);
  if (unit.index >= units_max_ || size > rank_bytes_max_ || rank.bytes > rank_bytes_max_ - size) {
    return Kept::kTooLarge;
  }
  const uint32_t index = unit.index;
  rank.units.emplace(index, std::move(held));
  rank.bytes += size;
  bytes_ += size;
  return Kept::kYes;
}

bool HeldUnits::Has(const Unit& unit) const {
  const Rank* found = Find(unit.sender.rank, unit.step);
  if (found == nullptr || unit.attempt > found->attempt) return false;
  return unit.attempt < found->attempt || found->units.contains(unit.index);
}

void HeldUnits::DropBefore(WorkerId rank, Step step, uint32_t attempt) {
  const Rank* found = Find(rank, step);
  if (found != nullptr && found->attempt < attempt) Drop(rank);
}

uint32_t HeldUnits::Count(WorkerId rank, Step step, uint32_t attempt) const {
  const Rank* found = Find(rank, step);
  const bool any = found != nullptr && found->attempt == attempt;
  return any ? static_cast<uint32_t>(found->units.size()) : 0;
}

bool HeldUnits::Nonfinite(WorkerId rank, Step step) const {
  const Rank* found = Find(rank, step);
  return found != nullptr && std::ranges::any_of(found->units, [](const auto& entry) {
           return entry.second.nonfinite;
         });
}

bool HeldUnits::Whole(WorkerId rank, Step step, uint32_t attempt, uint32_t units) const {
  const Rank* found = Find(rank, step);
  if (units == 0) return found == nullptr || found->attempt != attempt;
  return found != nullptr && found->attempt == attempt && found->units.size() == units &&
         found->units.rbegin()->first == units - 1;
}

std::vector<HeldUnit> HeldUnits::Take(WorkerId rank, Step step, uint32_t attempt) {
  std::vector<HeldUnit> units;
  const Rank* found = Find(rank, step);
  if (found == nullptr) return units;
  if (found->attempt == attempt || Mutated(Mutation::kTakeAnyAttempt)) {
    for (auto& [index, unit] : ranks_[rank].units) units.push_back(std::move(unit));
  }
  Drop(rank);
  return units;
}

void HeldUnits::Drop(WorkerId rank) {
  const auto found = ranks_.find(rank);
  if (found == ranks_.end()) return;
  bytes_ -= found->second.bytes;
  ranks_.erase(found);
}

const HeldUnits::Rank* HeldUnits::Find(WorkerId rank, Step step) const {
  const auto found = ranks_.find(rank);
  return found == ranks_.end() || found->second.step != step ? nullptr : &found->second;
}

}  // namespace shardmill
