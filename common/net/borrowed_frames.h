#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "common/frame.h"
#include "common/process/file_descriptor.h"

namespace shardmill {

// Bounds on the memory of a peer that we map.
struct BorrowLimits {
  uint32_t segments_max = 4096;
  uint64_t bytes_max = uint64_t{1} << 40;  // Of address space; the memory is the peer's.
  uint32_t frames_max = 1 << 20;           // At once.
};

// Frames whose bytes lie in the memory of a peer, who keeps them as they are until we say that we
// have done with them. Owned by a link, on its thread; the frames may go on any thread, and outlive
// this. Nothing here is believed: what is out of bounds is refused.
class BorrowedFrames final {
 public:
  // `socket`: leads to the peer. It learns that we have ceased to read its memory once both this
  // and all frames have gone.
  BorrowedFrames(FileDescriptor socket, const BorrowLimits& limits);
  ~BorrowedFrames();
  BorrowedFrames(const BorrowedFrames&) = delete;
  BorrowedFrames& operator=(const BorrowedFrames&) = delete;

  // Maps memory of the peer, to read. False where that is not acceptable.
  bool AddSegment(uint32_t number, uint64_t bytes, const FileDescriptor& file);
  bool HasSegment(uint32_t number) const;

  // Nothing where the bytes are not within a segment, or too much is borrowed already.
  std::optional<Frame> Borrow(uint32_t loan, uint32_t segment, uint64_t offset, uint64_t bytes);

  // Appends the loans that have come to their end since.
  void TakeReturned(std::vector<uint32_t>& loans);

 private:
  struct Core;
  class Storage;

  BorrowLimits limits_;
  size_t borrowed_ = 0;         // Not known to have come back.
  std::shared_ptr<Core> core_;  // Shared with the frames: their bytes stay mapped.
};

}  // namespace shardmill
