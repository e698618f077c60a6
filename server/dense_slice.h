#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "common/frame.h"
#include "common/initial.h"
#include "server/log_entry.h"
#include "server/optimizer.h"

namespace shardmill {

// One shard's slice of a dense table: floats in chunks, each an immutable frame. A chunk that a
// reader still references is replaced, not written. Owned by a Shard, on its thread. Ranges are
// checked by the caller; a bad one is our own bug.
class DenseSlice final {
 public:
  // The slice [begin, end) of the whole table.
  DenseSlice(uint64_t begin, uint64_t end, const Initial& initial);

  uint64_t begin() const { return begin_; }
  uint64_t end() const { return end_; }
  bool Contains(uint64_t begin, uint64_t count) const {
    return begin >= begin_ && begin <= end_ && count <= end_ - begin;
  }

  // The floats [begin, begin + count) of the whole table as they are now, without a copy.
  std::vector<Frame> Read(uint64_t begin, uint64_t count) const;

  // One optimizer step: each element that a part covers is changed once, by the weighted sum of the
  // parts that cover it, in their order.
  void Apply(std::span<const ChangePart* const> parts, float learning_rate,
             const Optimizer& optimizer);

 private:
  // Floats of a chunk: 1 MiB, so that a replaced chunk costs little.
  static constexpr uint64_t kChunkFloats = 256 * 1024;

  void ApplySegment(uint64_t begin, uint64_t end, std::span<const ChangePart* const> parts,
                    float learning_rate, const Optimizer& optimizer);
  std::span<float> Writable(size_t chunk);

  uint64_t begin_;
  uint64_t end_;
  std::vector<Frame> chunks_;
};

}  // namespace shardmill
