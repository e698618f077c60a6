#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "common/frame_pool.h"
#include "server/row_store.h"
#include "snapshot/image.h"

namespace shardmill {

// The rows of a sparse table as they were when this was made, handed out batch by batch while steps
// go on: a row that is about to be changed and was not handed out yet is copied aside first, once.
// So making it costs nothing that grows with the table, and a step pays for the rows that it
// changes alone. Owned by a SparseSlice, on its thread; the store outlives it. Cannot fail.
class RowImage final {
 public:
  RowImage(const RowStore& store, uint32_t dim, uint64_t row_floats);

  uint64_t rows() const { return rows_; }
  bool done() const { return next_ == rows_; }

  // To be called before the row changes.
  void Keep(uint32_t row) {
    if (row >= next_ && row < rows_) CopyAside(row);
  }
  // Copies so many rows more; a batch, where that makes one whole. Wanted until done().
  std::optional<RowBatch> Advance(uint64_t rows_max, FramePool& frames);

 private:
  // Copies of rows of one batch. Its memory is taken when the first of them changes, and its pages
  // are touched as rows do.
  struct Aside {
    std::unique_ptr<float[]> floats;
    std::vector<bool> kept;
  };
  struct Building {
    Buffer keys;
    Buffer values;
    Buffer state;
  };

  void CopyAside(uint32_t row);
  const float* At(uint32_t row) const;

  const RowStore& store_;
  uint32_t dim_;
  uint64_t row_floats_;
  uint64_t rows_;
  uint64_t next_ = 0;            // Rows below it are in a batch.
  std::vector<Aside> aside_;     // By batch.
  std::optional<Building> now_;  // The batch under way.
};

}  // namespace shardmill
