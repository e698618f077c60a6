#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "common/frame.h"
#include "common/initial.h"
#include "optim/optimizer.h"
#include "server/log_entry.h"
#include "server/row_index.h"

namespace shardmill {

// One shard's rows of a sparse table. A row is made when a push first touches it: a read of a row
// that is not there shows its first values and makes nothing, so that only applied entries change
// the table. Owned by a Shard, on its thread. Keys are checked by the caller (Owns); a list that
// fits no row is our own bug.
class SparseSlice final {
 public:
  // The rows whose buckets are in [begin, end).
  SparseSlice(uint64_t begin, uint64_t end, uint32_t dim, const Initial& initial, uint32_t slots);

  uint32_t dim() const { return dim_; }
  uint64_t rows() const { return index_.size(); }
  // What a row takes: its floats, its state, and its key.
  uint64_t row_bytes() const { return stride_ * sizeof(float) + kKeyBytes; }
  // What all rows have reserved, for tests.
  uint64_t slab_bytes() const { return slabs_.size() * SlabFloats() * sizeof(float); }
  bool Owns(uint64_t key) const;

  // Calls `visit(key)` for each key that has no row yet.
  template <class Visit>
  void ForEachMissing(KeyRows& keys, Visit visit) const {
    for (size_t i = 0; i < keys.rows.size(); ++i) {
      if (Resolve(keys, i) == RowIndex::kNone) visit(keys.keys.keys()[i]);
    }
  }

  // The rows of the keys as they are now.
  Frame Read(KeyRows& keys) const;

  // One optimizer step: each row that a part has is changed once, by its pushes combined in their
  // order.
  void Apply(std::span<const ChangePart> parts, float rate, const Optimizer& optimizer);

  // Calls `visit(key, values)` for each row that was made, in no order.
  template <class Visit>
  void ForEach(Visit visit) const {
    for (uint32_t row = 0; row < keys_.size(); ++row) visit(keys_[row], Values(row));
  }

 private:
  // A key by row and in the index, where it stands with room to grow.
  static constexpr uint64_t kKeyBytes = 64;

  uint64_t SlabFloats() const { return uint64_t{stride_} << slab_shift_; }
  float* Row(uint32_t row) const;
  std::span<const float> Values(uint32_t row) const { return {Row(row), dim_}; }
  uint32_t Resolve(KeyRows& keys, size_t at) const;
  uint32_t Make(uint64_t key);

  uint64_t begin_;
  uint64_t end_;
  uint32_t dim_;
  uint32_t stride_;  // A row is its values, its state slot by slot, and how many steps it has had.
  uint32_t slab_shift_;  // A slab has 2^slab_shift_ rows.
  Initial initial_;
  RowIndex index_;
  std::vector<uint64_t> keys_;  // By row.
  std::vector<std::unique_ptr<float[]>> slabs_;

  // Of the step under way; kept so that nothing is allocated for the next.
  std::vector<uint32_t> place_;    // By row: where its change is combined, or RowIndex::kNone.
  std::vector<uint32_t> touched_;  // The rows of the step, in order of touch.
  std::vector<float> change_;
  std::vector<float> weights_;  // Of each change.
};

}  // namespace shardmill
