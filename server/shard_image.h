#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "common/frame_pool.h"
#include "common/ids.h"
#include "common/table_piece.h"
#include "server/shard_copy.h"
#include "snapshot/image.h"

namespace shardmill {

// A shard's tables as they were when this was made, handed out piece by piece while steps go on.
// One at a time: a sparse table has one image. Owned by a Shard, on its thread; the copy outlives
// it.
class ShardImage final {
 public:
  explicit ShardImage(ShardCopy& copy);
  ~ShardImage();
  ShardImage(const ShardImage&) = delete;
  ShardImage& operator=(const ShardImage&) = delete;

  bool done() const { return dense_.empty() && sparse_.empty(); }
  // The next piece. Of sparse tables it copies so many rows at most, and may have none for now.
  std::optional<std::pair<TableId, TablePiece>> Next(uint64_t rows_max, FramePool& frames);

 private:
  std::optional<TablePiece> NextOf(DenseImage& image);

  ShardCopy& copy_;
  std::map<TableId, DenseImage> dense_;
  std::vector<TableId> sparse_;
  // Of the first of dense_: its frames so far, and where the next one begins.
  size_t frame_ = 0;
  uint32_t slot_ = 0;
  uint64_t begin_ = 0;
};

}  // namespace shardmill
