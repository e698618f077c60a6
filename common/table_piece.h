#pragma once

#include <cstdint>
#include <variant>
#include <vector>

#include "common/frame.h"

// Parts of a table as plain values: what a snapshot's files have, and what one copy of a shard
// sends to another.
namespace shardmill {

// How often the floats [begin, end) of a dense table have been stepped, where their rule counts
// that. Kept by range: at a restore one shard may get parts of several, each with its own count.
struct UpdateRun {
  uint64_t begin = 0;
  uint64_t end = 0;
  uint64_t updates = 0;

  bool operator==(const UpdateRun&) const = default;
};

// Rows of a sparse table.
struct RowBatch {
  Frame keys;    // uint64 each.
  Frame values;  // `dim` floats a row.
  Frame state;   // `state` floats a row.
};

// A piece of a dense table. Slot 0 are the parameters, slot k the k-th state beside them.
struct DensePiece {
  uint32_t slot = 0;
  uint64_t begin = 0;  // In floats, in the whole table.
  Frame floats;
};
using UpdateRuns = std::vector<UpdateRun>;
using TablePiece = std::variant<DensePiece, UpdateRuns, RowBatch>;

}  // namespace shardmill
