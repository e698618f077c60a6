#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"
#include "snapshot/image.h"
#include "snapshot/safetensors.h"

namespace shardmill {

// A shard's head as text, for the metadata of its file, and back. Reading believes nothing; its
// errors are kBadInput.
std::string FormatShardHead(const ShardHead& head);
Result<ShardHead> ParseShardHead(std::string_view text);

// The tensors of a shard's file, in the order in which they are written: for a dense table
// "<id>.values" and "<id>.slot.<k>", for a batch of a sparse one "<id>.keys.<b>",
// "<id>.values.<b>" and "<id>.state.<b>".
std::vector<Tensor> LayOutShard(const ShardHead& head);

inline uint64_t BatchesOf(const SparseHead& head) {
  return (head.rows + kBatchRows - 1) / kBatchRows;
}

}  // namespace shardmill
