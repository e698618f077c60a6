#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "server/row_memory.h"

namespace shardmill {

// The rows of a sparse table, counted from 0, in slabs that never move: each row's floats, and
// beside it its key, and a mark and a place for the step under way. Owned by a SparseSlice, on its
// thread. Cannot fail.
class RowStore final {
 public:
  // What an entry's parts have of a row, as far as they were looked through.
  enum class Mark : uint8_t { kNone, kOnce, kSeveral };

  explicit RowStore(uint64_t row_floats);

  // Makes the next row, of zeros.
  uint32_t Make(uint64_t key);

  float* At(uint32_t row) const { return slabs_[row >> shift_].floats + Inside(row) * row_floats_; }
  Mark& MarkOf(uint32_t row) { return slabs_[row >> shift_].marks[Inside(row)]; }
  uint64_t KeyOf(uint32_t row) const { return slabs_[row >> shift_].keys[Inside(row)]; }
  // Zero in a new row. The step that uses it sets it.
  uint32_t& PlaceOf(uint32_t row) { return slabs_[row >> shift_].places[Inside(row)]; }

  uint64_t size() const { return size_; }
  // What all rows have reserved, for tests.
  uint64_t bytes() const { return slabs_.size() * (row_floats_ * sizeof(float) << shift_); }

 private:
  struct Slab {
    float* floats;
    uint64_t* keys;
    Mark* marks;
    uint32_t* places;
  };

  uint64_t Inside(uint32_t row) const { return row & ((uint64_t{1} << shift_) - 1); }

  uint64_t row_floats_;
  uint32_t shift_;  // A slab has 2^shift_ rows.
  uint64_t size_ = 0;
  RowMemory memory_;
  std::vector<Slab> slabs_;
};

}  // namespace shardmill
