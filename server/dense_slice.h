#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "common/frame.h"
#include "common/frame_list.h"
#include "common/frame_pool.h"
#include "common/initial.h"
#include "common/result.h"
#include "optim/optimizer.h"
#include "server/log_entry.h"
#include "snapshot/image.h"

namespace shardmill {

// One shard's slice of a dense table: floats in chunks, each an immutable frame, and beside each
// chunk its optimizer state. A chunk that a reader still references is replaced, not written. Owned
// by a Shard, on its thread. Ranges are checked by the caller; a bad one is our own bug.
class DenseSlice final {
 public:
  // The slice [begin, end) of the whole table, with so many floats of state a parameter. The pool
  // outlives it.
  DenseSlice(FramePool& frames, uint64_t begin, uint64_t end, const Initial& initial,
             uint32_t slots);

  uint64_t begin() const { return begin_; }
  uint64_t end() const { return end_; }
  bool Contains(uint64_t begin, uint64_t count) const {
    return begin >= begin_ && begin <= end_ && count <= end_ - begin;
  }

  // The floats [begin, begin + count) of the whole table as they are now, without a copy.
  FrameList Read(uint64_t begin, uint64_t count) const;

  // One optimizer step: each element that a part covers is changed once, by the parts that cover
  // it, combined in their order.
  void Apply(std::span<const ChangePart> parts, float rate, const Optimizer& optimizer);

  // All of it as it is now, without a copy: what changes later is replaced. Counts of updates are
  // in it where the optimizer goes by them.
  DenseImage Image(const Optimizer& optimizer) const;
  // Takes what a snapshot has of a part of this slice: floats, or the counts of updates of all of
  // it. Fails where they do not fit.
  Result<> Restore(const DensePiece& piece);
  Result<> Restore(const UpdateRuns& runs);

 private:
  // Floats of a chunk: 1 MiB, so that a replaced chunk costs little.
  static constexpr uint64_t kChunkFloats = 256 * 1024;

  // Where a part begins or ends.
  struct Edge {
    uint64_t at;
    size_t part;
    bool begins;
  };

  // Changes [begin, end) by the parts that cover it all.
  void ApplySegment(uint64_t begin, uint64_t end, std::span<const ChangePart> parts,
                    const UpdateTime& time, const Optimizer& optimizer);

  FramePool* frames_;
  uint64_t begin_;
  uint64_t end_;
  uint32_t slots_;
  // Entries that changed this slice. One run, or more after a restore: of what came from several.
  UpdateRuns updates_;
  std::vector<Frame> chunks_;
  std::vector<Frame> states_;  // Of each chunk, slot by slot; none where there are no slots.

  // Of the step under way; kept so that nothing is allocated for the next.
  std::vector<Edge> edges_;
  std::vector<size_t> covering_;  // Parts, in their order.
};

}  // namespace shardmill
