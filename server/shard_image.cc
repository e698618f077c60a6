#include "server/shard_image.h"

#include <variant>

namespace shardmill {

ShardImage::ShardImage(ShardCopy& copy) : copy_(copy) {
  for (auto& [id, table] : copy.tables()) {
    if (auto* sparse = std::get_if<SparseSlice>(&table.values)) {
      sparse->BeginImage();
      sparse_.push_back(id);
    } else {
      dense_.emplace(id, std::get<DenseSlice>(table.values).Image(*table.optimizer));
    }
  }
}

ShardImage::~ShardImage() {
  for (const TableId id : sparse_) std::get<SparseSlice>(copy_.At(id).values).EndImage();
}

std::optional<std::pair<TableId, TablePiece>> ShardImage::Next(uint64_t rows_max,
                                                               FramePool& frames) {
  while (!dense_.empty()) {
    const TableId id = dense_.begin()->first;
    std::optional<TablePiece> piece = NextOf(dense_.begin()->second);
    if (piece) return std::pair(id, std::move(*piece));
    dense_.erase(dense_.begin());
    frame_ = 0;
    slot_ = 0;
  }
  while (!sparse_.empty()) {
    const TableId id = sparse_.back();
    auto& sparse = std::get<SparseSlice>(copy_.At(id).values);
    if (!sparse.ImageDone()) {
      std::optional<RowBatch> rows = sparse.NextRows(rows_max, frames);
      if (!rows) return {};
      return std::pair(id, TablePiece(std::move(*rows)));
    }
    sparse.EndImage();
    sparse_.pop_back();
  }
  return {};
}

// The counts of updates, then each frame of values, and its states behind it.
std::optional<TablePiece> ShardImage::NextOf(DenseImage& image) {
  if (!image.head.updates.empty()) return TablePiece(std::exchange(image.head.updates, {}));
  if (frame_ == 0 && slot_ == 0) begin_ = image.head.begin;
  if (frame_ == image.values.size()) return {};
  const Frame& values = image.values[frame_];
  const uint64_t floats = values.size() / sizeof(float);
  DensePiece piece{slot_, begin_, values};
  if (slot_ > 0) {
    piece.floats = image.states[frame_].Slice((slot_ - 1) * values.size(), values.size());
  }
  if (++slot_ > image.head.slots) {
    slot_ = 0;
    ++frame_;
    begin_ += floats;
  }
  return TablePiece(std::move(piece));
}

}  // namespace shardmill
