#pragma once

#include <algorithm>
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
  enum class Begins : uint8_t {
    kMade,      // With its initial values.
    kRestored,  // With nothing, until all of it is restored or made.
  };

  // The slice [begin, end) of the whole table, with so many floats of state a parameter. The pool
  // outlives it.
  DenseSlice(FramePool& frames, uint64_t begin, uint64_t end, const Initial& initial,
             uint32_t slots, Begins how = Begins::kMade);

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

  // Of the floats [begin, begin + count), and of the state beside them in whole chunks that begin
  // there.
  uint32_t Checksum(uint64_t begin, uint64_t count) const;

  // All of it as it is now, without a copy: what changes later is replaced. Counts of updates are
  // in it where the optimizer goes by them.
  DenseImage Image(const Optimizer& optimizer) const;
  // Takes what a snapshot has of a part of this slice: floats, or the counts of updates of all of
  // it. Fails where they do not fit.
  Result<> Restore(const DensePiece& piece);
  Result<> Restore(const UpdateRuns& runs);
  // Makes what was not restored.
  void MakeRest();

 private:
  // Floats of a slice that is one chunk, which a reader has in one piece: up to 4 MiB.
  static constexpr uint64_t kOneChunkFloats = 1024 * 1024;
  // Of each chunk of a longer one: 1 MiB, so that a replaced chunk costs little.
  static constexpr uint64_t kChunkFloats = 256 * 1024;

  // Where a part begins or ends.
  struct Edge {
    uint64_t at;
    size_t part;
    bool begins;
  };

  uint64_t ChunkFloats(size_t chunk) const {
    return std::min(chunk_floats_, end_ - begin_ - chunk * chunk_floats_);
  }
  void MakeChunk(size_t chunk);
  void MakeState(size_t chunk);
  // Of a chunk, to be written from its float `inside` on.
  std::span<float> ToRestore(size_t chunk, uint32_t slot, uint64_t inside, uint64_t size);

  // Changes [begin, end) by the parts that cover it all.
  void ApplySegment(uint64_t begin, uint64_t end, std::span<const ChangePart> parts,
                    const UpdateTime& time, const Optimizer& optimizer);

  FramePool* frames_;
  uint64_t begin_;
  uint64_t end_;
  uint32_t slots_;
  uint64_t chunk_floats_;
  Initial initial_;
  // Entries that changed this slice. One run, or more after a restore: of what came from several.
  UpdateRuns updates_;
  std::vector<Frame> chunks_;
  std::vector<Frame> states_;  // Of each chunk, slot by slot; none where there are no slots.

  // Of the step under way; kept so that nothing is allocated for the next.
  std::vector<Edge> edges_;
  std::vector<size_t> covering_;  // Parts, in their order.
};

}  // namespace shardmill
