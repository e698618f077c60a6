#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "common/net/shm_ring.h"
#include "common/process/file_descriptor.h"

namespace shardmill {

// A file in memory, mapped. Owned by whoever mapped it; any thread, one at a time. Only files that
// can never shrink are mapped, and only whole: reading them cannot fault, whatever a peer does.
class SharedMapping final {
 public:
  enum class Access : uint8_t { kRead, kReadAndWrite };

  // Nothing where the file is not sealed, not of this size, has holes, or cannot be mapped. One to
  // read must be sealed against writing too, or holes could come later.
  static std::optional<SharedMapping> Map(int file, uint64_t bytes, Access access);

  SharedMapping() = default;
  SharedMapping(SharedMapping&& other) noexcept;
  SharedMapping& operator=(SharedMapping&& other) noexcept;
  ~SharedMapping();

  std::span<std::byte> bytes() const { return bytes_; }

 private:
  explicit SharedMapping(std::span<std::byte> bytes) : bytes_(bytes) {}

  std::span<std::byte> bytes_;
};

// The two rings of a link, in one sealed file: the side that connects makes it, the other takes it.
// Owned by a link.
class RingPair final {
 public:
  // Of one ring, both ways.
  static constexpr uint64_t kBytesMin = uint64_t{64} << 10;
  static constexpr uint64_t kBytesMax = uint64_t{64} << 20;

  // Nothing where the system has no sealed files. `ring_bytes`: a power of two within the bounds.
  static std::optional<RingPair> Make(uint64_t ring_bytes);
  // Nothing where the file is not one that Make makes.
  static std::optional<RingPair> Take(FileDescriptor file);

  int file() const { return file_.get(); }
  uint64_t ring_bytes() const { return ring_bytes_; }  // Of one.
  RingMemory written_by_maker() const { return Ring(0); }
  RingMemory written_by_taker() const { return Ring(1); }

 private:
  RingPair(FileDescriptor file, SharedMapping mapping, uint64_t ring_bytes);
  RingMemory Ring(uint64_t index) const;

  FileDescriptor file_;
  SharedMapping mapping_;
  uint64_t ring_bytes_ = 0;
};

}  // namespace shardmill
