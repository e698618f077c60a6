#include "server/held_units.h"

#include <algorithm>
#include <utility>

#include "common/mutation.h"

namespace shardmill {
namespace {

uint32_t IndexOf(const HeldUnit& held) { return held.unit.index; }

}  // namespace

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
  // They come in order, nearly always.
  const auto place = std::ranges::upper_bound(rank.units, unit.index, {}, &IndexOf);
  rank.units.insert(place, std::move(held));
  rank.bytes += size;
  bytes_ += size;
  return Kept::kYes;
}

bool HeldUnits::Has(const Unit& unit) const {
  const Rank* found = Find(unit.sender.rank, unit.step);
  if (found == nullptr || unit.attempt > found->attempt) return false;
  return unit.attempt < found->attempt ||
         std::ranges::binary_search(found->units, unit.index, {}, &IndexOf);
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
  return found != nullptr && std::ranges::any_of(found->units, &HeldUnit::nonfinite);
}

bool HeldUnits::Whole(WorkerId rank, Step step, uint32_t attempt, uint32_t units) const {
  const Rank* found = Find(rank, step);
  if (units == 0) return found == nullptr || found->attempt != attempt;
  return found != nullptr && found->attempt == attempt && found->units.size() == units &&
         IndexOf(found->units.back()) == units - 1;
}

// The rank's room stays, for its next step.
void HeldUnits::Drop(WorkerId rank) {
  const auto found = ranks_.find(rank);
  if (found == ranks_.end()) return;
  bytes_ -= found->second.bytes;
  found->second.units.clear();
  found->second.bytes = 0;
  found->second.step = 0;
  found->second.attempt = 0;
}

const HeldUnits::Rank* HeldUnits::Find(WorkerId rank, Step step) const {
  const auto found = ranks_.find(rank);
  return found == ranks_.end() || found->second.step != step ? nullptr : &found->second;
}

}  // namespace shardmill
