#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "worker/data/sample_store.h"

namespace shardmill {

// Gives columns of gathered rows the form that sparse tables are read by: `keys` becomes the
// distinct keys of the column, or its distinct ids, in the order in which they first occur, and
// `ids` counts them. A value that is used again and again, so that it allocates only while batches
// grow. One thread; cannot fail.
class DistinctKeys final {
 public:
  void Apply(ColumnKind kind, GatheredRows::Part& part);

 private:
  struct Slot {
    uint64_t key = 0;
    uint32_t place = 0;
    uint32_t used_by = 0;  // The call that filled it.
  };

  // Makes room for so many keys, all of them unknown.
  void Clear(size_t keys);
  uint32_t PlaceOf(uint64_t key);

  std::vector<Slot> slots_;  // A power of two, at most half of them used.
  uint32_t call_ = 0;
  std::vector<uint64_t> distinct_;
};

// All keys, or ids, that a column of a store has, in their order.
std::vector<uint64_t> AllKeys(const SampleStore& store, size_t column);

}  // namespace shardmill
