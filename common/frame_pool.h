#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "common/frame.h"

namespace shardmill {

// Memory for frames, cut from large segments and used again and again: once a program has reached
// its working size nothing is allocated or mapped any more. It grows as needed and never shrinks.
// Owned by main, or by a session; outlives whoever was given it, though not the frames: those keep
// what they need. Any thread. Running out of memory is std::bad_alloc, as elsewhere.
class FramePool final {
  struct Core;
  class Block;

 public:
  enum class Memory : uint8_t {
    kPrivate,  // On huge pages where the system has them.
    kShared,   // Sealed files in memory, that peers on this host can map to read.
  };

  // What peers may map where memory is shared with them at all.
  static Memory MemoryFor(bool shared) { return shared ? Memory::kShared : Memory::kPrivate; }

  explicit FramePool(Memory memory);
  ~FramePool();
  FramePool(const FramePool&) = delete;
  FramePool& operator=(const FramePool&) = delete;

  Buffer OfBytes(size_t bytes);    // Not initialised.
  Buffer OfFloats(size_t floats);  // Not initialised.
  Frame CopyOf(std::span<const std::byte> bytes);

  // Where bytes lie in memory that peers can map.
  struct Place {
    uint32_t segment = 0;  // Counted from 0.
    uint64_t offset = 0;
  };
  // None: they are not this pool's, or its memory is private.
  std::optional<Place> Find(std::span<const std::byte> bytes) const;

  // The file of a segment that Find gave, and its size. The file is the pool's.
  struct SegmentFile {
    int file = -1;
    uint64_t bytes = 0;
  };
  SegmentFile FileOf(uint32_t segment) const;

  // All segments together.
  uint64_t mapped_bytes() const;

 private:
  std::shared_ptr<Core> core_;  // Shared with the blocks that frames hold.
};

}  // namespace shardmill
