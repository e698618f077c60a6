#include "worker/data/distinct_keys.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "common/rng.h"

namespace shardmill {

void DistinctKeys::Clear(size_t keys) {
  const size_t room = std::bit_ceil(std::max<size_t>(2 * keys, 16));
  ++call_;
  if (room > slots_.size() || call_ == 0) {
    slots_.assign(std::max(room, slots_.size()), {});
    call_ = 1;
  }
  distinct_.clear();
}

uint32_t DistinctKeys::PlaceOf(uint64_t key) {
  for (size_t at = Mix(key);; ++at) {
    Slot& slot = slots_[at & (slots_.size() - 1)];
    if (slot.used_by == call_ && slot.key == key) return slot.place;
    if (slot.used_by == call_) continue;
    slot = {key, static_cast<uint32_t>(distinct_.size()), call_};
    distinct_.push_back(key);
    return slot.place;
  }
}

void DistinctKeys::Apply(ColumnKind kind, GatheredRows::Part& part) {
  if (kind != ColumnKind::kKeys) {
    Clear(part.ids.size());
    for (uint32_t& id : part.ids) id = PlaceOf(id);
  } else {
    Clear(part.keys.size());
    part.ids.clear();
    for (const uint64_t key : part.keys) part.ids.push_back(PlaceOf(key));
  }
  part.keys.swap(distinct_);
}

std::vector<uint64_t> AllKeys(const SampleStore& store, size_t column) {
  const ColumnView& view = store.column(column);
  std::vector<uint64_t> keys(view.keys.begin(), view.keys.end());
  if (keys.empty()) keys.assign(view.ids.begin(), view.ids.end());
  std::ranges::sort(keys);
  const auto rest = std::ranges::unique(keys);
  keys.erase(rest.begin(), rest.end());
  return keys;
}

}  // namespace shardmill
