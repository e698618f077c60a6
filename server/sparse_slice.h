#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "common/frame.h"
#include "common/frame_pool.h"
#include "common/initial.h"
#include "common/result.h"
#include "optim/optimizer.h"
#include "server/log_entry.h"
#include "server/row_image.h"
#include "server/row_index.h"
#include "server/row_store.h"
#include "snapshot/image.h"

namespace shardmill {

// One shard's rows of a sparse table. A row is made when a push first touches it: a read of a row
// that is not there shows its first values and makes nothing, so that only applied entries change
// the table. Owned by a Shard, on its thread. Keys are checked by the caller (Owns); a list that
// fits no row is our own bug.
class SparseSlice final {
 public:
  // The rows whose buckets are in [begin, end), with what the optimizer keeps beside them.
  SparseSlice(uint64_t begin, uint64_t end, uint32_t dim, const Initial& initial,
              const Optimizer& optimizer);

  uint32_t dim() const { return dim_; }
  uint64_t rows() const { return store_.size(); }
  // What a row takes: its floats, its state, and its key.
  uint64_t row_bytes() const { return row_floats_ * sizeof(float) + kKeyBytes; }
  // What all rows have reserved, for tests.
  uint64_t slab_bytes() const { return store_.bytes(); }
  bool Owns(std::span<const uint64_t> keys) const;

  // Calls `visit(key)` for each key that has no row yet.
  template <class Visit>
  void ForEachMissing(KeyRows& keys, Visit visit) const {
    index_.FindMissing(keys.keys.keys(), keys.rows);
    for (size_t i = 0; i < keys.rows.size(); ++i) {
      if (keys.rows[i] == RowIndex::kNone) visit(keys.keys.keys()[i]);
    }
  }

  // The rows of the keys as they are now.
  Frame Read(KeyRows& keys, FramePool& frames) const;

  // One optimizer step: each row that a part has is changed once, by its pushes combined in their
  // order.
  void Apply(std::span<const ChangePart> parts, float rate, const Optimizer& optimizer);

  // Calls `visit(key, values)` for each row that was made, in no order.
  template <class Visit>
  void ForEach(Visit visit) const {
    index_.ForEach([&](uint64_t key, uint32_t row) {
      visit(key, std::span<const float>(store_.At(row), dim_));
    });
  }

  SparseHead Head() const;
  // All rows as they are now, to be handed out bit by bit while steps go on: see RowImage. An image
  // that was begun before is dropped.
  void BeginImage();
  bool ImageDone() const { return image_ == nullptr || image_->done(); }
  std::optional<RowBatch> NextRows(uint64_t rows_max, FramePool& frames);
  void EndImage() { image_.reset(); }
  // Of the rows [begin, begin + count), counted in the order in which they were made: keys, floats
  // and state.
  uint32_t Checksum(uint64_t begin, uint64_t count) const;
  // Takes rows of a snapshot that are not here yet. Fails where they do not fit.
  Result<> Restore(const RowBatch& batch);

 private:
  // A key in the index, which has room to grow, and what a step keeps of its row.
  static constexpr uint64_t kKeyBytes = 64;

  template <uint32_t kDim>
  void Copy(const KeyRows& keys, float* to) const;
  void MakeMissing(KeyRows& keys);
  void MarkRows(std::span<const uint32_t> rows);
  void StepOnce(const ChangePart& part, float rate, const Optimizer& optimizer);
  void StepSeveral(std::span<const ChangePart> parts, float rate, const Optimizer& optimizer);

  uint64_t begin_;
  uint64_t end_;
  uint32_t dim_;
  uint64_t row_floats_;  // See RowChange.
  Initial initial_;
  RowIndex index_;
  RowStore store_;
  std::unique_ptr<RowImage> image_;  // While one is handed out.

  // Of the step under way: the rows that its parts have more than once, in order of touch, and what
  // is combined of each. Kept so that nothing is allocated for the next.
  std::vector<uint32_t> several_;
  std::vector<float> change_;
  std::vector<float> weights_;
  std::vector<bool> begun_;  // Of several_: whether something is in its change.
};

}  // namespace shardmill
