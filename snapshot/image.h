#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "common/frame.h"
#include "common/ids.h"
#include "common/messages.h"
#include "common/table_piece.h"

// What a shard is at a cut, as plain values: it makes them, they are written to a file, and any
// shard takes its part of them again.
namespace shardmill {

// What there is of a dense table: the floats [begin, end) and so many floats of optimizer state
// beside each. The runs cover them all, in order; or there are none.
struct DenseHead {
  uint64_t begin = 0;
  uint64_t end = 0;
  uint32_t slots = 0;
  std::vector<UpdateRun> updates = {};

  bool operator==(const DenseHead&) const = default;
};

// What there is of a sparse table: so many rows, of the buckets [begin, end). A row's state is what
// stands behind its `dim` floats in a shard's memory; see RowChange in optim/optimizer.h.
struct SparseHead {
  uint64_t begin = 0;
  uint64_t end = 0;
  uint32_t dim = 0;
  uint32_t state = 0;  // In floats.
  uint64_t rows = 0;

  bool operator==(const SparseHead&) const = default;
};

struct TableHead {
  TableId table;
  std::string name = {};
  std::variant<DenseHead, SparseHead> part = {};

  bool operator==(const TableHead&) const = default;
};

// All that a shard's file says before its floats.
struct ShardHead {
  JobId job;
  Generation generation;
  uint64_t snapshot = 0;  // Its number.
  ShardId shard;
  uint64_t version = 0;  // Entries applied.
  std::vector<RankState> ranks = {};
  std::vector<TableHead> tables = {};
};

// The floats that a DenseHead tells of, in chunks that stay as they are because they are
// referenced here.
struct DenseImage {
  DenseHead head;
  std::vector<Frame> values;  // One after the other.
  std::vector<Frame>
      states;  // Of each frame of values, slot by slot; none where there are no slots.
};

// A file has rows in batches of so many, the last one smaller.
inline constexpr uint64_t kBatchRows = 65536;

}  // namespace shardmill
