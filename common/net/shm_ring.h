#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

namespace shardmill {

// How soundly a reader sleeps: what wakes it.
enum class Sleep : uint32_t {
  kAwake = 0,
  kUntilMessage = 1,
  kUntilAnything = 2,
};

// What both sides of a ring see besides its bytes, each index on a cache line of its own. Indexes
// count bytes since the beginning.
struct RingHeads {
  alignas(64) std::atomic<uint64_t> written{0};
  alignas(64) std::atomic<uint64_t> read{0};
  alignas(64) std::atomic<uint32_t> sleep{0};  // Of the reader; see Sleep.
};
static_assert(std::atomic<uint64_t>::is_always_lock_free);

// Where a ring lies in memory shared by two processes. `capacity` is a power of two.
struct RingMemory {
  RingHeads* heads = nullptr;
  std::byte* data = nullptr;
  uint64_t capacity = 0;
};

// A ring of records in shared memory with one writer and one reader. A record is a length, a kind
// and a body, and begins at a multiple of eight bytes. Whoever has the memory may write anything
// there: each side keeps its own index to itself and believes the other's only within bounds.
// Records that were not published are not there.
//
// The writing side. Owned by a link, on its thread.
class RingWriter final {
 public:
  // Largest body that would ever fit.
  static uint64_t BodyMax(uint64_t capacity);

  RingWriter() = default;
  explicit RingWriter(const RingMemory& memory) : memory_(memory) {}

  // How large the body of the next record may be now; 0: no room. Clears `sane` where the reader's
  // index cannot be.
  uint64_t Room(bool& sane) const;

  // A record of exactly this body follows, in pieces. There must be room.
  void Begin(uint32_t kind, uint64_t body_bytes);
  void Put(std::span<const std::byte> piece);
  void PutZeros(uint64_t bytes);  // Seven at most.
  void End();

  // Shows what was written. True: the reader sleeps so that this wakes it, and now somebody must.
  bool Publish(Sleep wakes);

 private:
  void Copy(const void* bytes, uint64_t size);

  RingMemory memory_;
  uint64_t written_ = 0;
  uint64_t record_end_ = 0;
};

// The reading side. Owned by a link, on its thread.
class RingReader final {
 public:
  enum class Found : uint8_t { kNothing, kRecord, kNonsense };

  RingReader() = default;
  explicit RingReader(const RingMemory& memory) : memory_(memory) {}

  // Whether there is something to look at.
  bool Ready() const;

  // Begins the next record.
  Found Next(uint32_t& kind);
  uint64_t left() const { return record_end_ - read_; }  // Of its body.
  // Copies the next bytes of the body; false where it has fewer.
  [[nodiscard]] bool Take(std::span<std::byte> into);
  [[nodiscard]] bool Skip(uint64_t bytes);
  // Gives the record's room back.
  void Finish();

  // Says that this side sleeps, unless there is something to read: then false.
  bool FallAsleep(Sleep sleep);
  void WakeUp();

 private:
  RingMemory memory_;
  uint64_t read_ = 0;
  uint64_t record_end_ = 0;
};

}  // namespace shardmill
