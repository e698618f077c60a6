#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace shardmill {

// Which row of a table a key has: open addressing with linear probing, never emptied. Owned by a
// SparseSlice, on its thread. Cannot fail; it holds up to kRowsMax rows, which its owner sees to.
class RowIndex final {
 public:
  static constexpr uint32_t kNone = 0xffffffff;
  static constexpr uint64_t kRowsMax = kNone;  // 0 to kNone - 1.

  RowIndex();

  // The key's row, or kNone.
  uint32_t Find(uint64_t key) const;
  // Gives a key that has none the row `row`.
  void Add(uint64_t key, uint32_t row);

  uint64_t size() const { return size_; }

 private:
  struct Entry {
    uint64_t key = 0;
    uint32_t row = kNone;
  };

  void Grow();
  size_t PlaceOf(uint64_t key) const;

  std::vector<Entry> entries_;
  uint64_t size_ = 0;
};

}  // namespace shardmill
