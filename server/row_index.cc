#include "server/row_index.h"

#include <utility>

#include "common/assert.h"
#include "common/rng.h"

namespace shardmill {

RowIndex::RowIndex() : entries_(64) {}

uint32_t RowIndex::Find(uint64_t key) const { return entries_[PlaceOf(key)].row; }

void RowIndex::Add(uint64_t key, uint32_t row) {
  // Half full at most, so that a search ends soon.
  if (2 * (size_ + 1) > entries_.size()) Grow();
  Entry& entry = entries_[PlaceOf(key)];
  SM_ASSERT(entry.row == kNone && row != kNone);
  entry = {key, row};
  ++size_;
}

void RowIndex::Grow() {
  std::vector<Entry> before(2 * entries_.size());
  std::swap(before, entries_);
  for (const Entry& entry : before) {
    if (entry.row != kNone) entries_[PlaceOf(entry.key)] = entry;
  }
}

// The low bits of the mixed key; the high ones choose its bucket, and so are alike on a shard.
size_t RowIndex::PlaceOf(uint64_t key) const {
  const size_t mask = entries_.size() - 1;
  size_t place = Mix(key) & mask;
  while (entries_[place].row != kNone && entries_[place].key != key) place = (place + 1) & mask;
  return place;
}

}  // namespace shardmill
