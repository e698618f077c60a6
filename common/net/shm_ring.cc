#include "common/net/shm_ring.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "common/assert.h"

namespace shardmill {
namespace {

constexpr uint64_t kAlignment = 8;

// What stands before a body.
struct RecordHead {
  uint32_t bytes = 0;  // Of the whole record.
  uint32_t kind = 0;
};
static_assert(sizeof(RecordHead) == kAlignment);

uint64_t Padded(uint64_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

}  // namespace

uint64_t RingWriter::BodyMax(uint64_t capacity) { return capacity - sizeof(RecordHead); }

uint64_t RingWriter::Room(bool& sane) const {
  const uint64_t used = written_ - memory_.heads->read.load(std::memory_order_acquire);
  // Also where the index lies ahead of ours: then this is huge.
  if (used > memory_.capacity || used % kAlignment != 0) {
    sane = false;
    return 0;
  }
  const uint64_t free = memory_.capacity - used;
  return free < sizeof(RecordHead) ? 0 : free - sizeof(RecordHead);
}

void RingWriter::Begin(uint32_t kind, uint64_t body_bytes) {
  const uint64_t bytes = sizeof(RecordHead) + Padded(body_bytes);
  SM_ASSERT(bytes <= memory_.capacity);
  record_end_ = written_ + bytes;
  const RecordHead head{static_cast<uint32_t>(bytes), kind};
  Copy(&head, sizeof(head));
}

void RingWriter::Put(std::span<const std::byte> piece) { Copy(piece.data(), piece.size()); }

void RingWriter::PutZeros(uint64_t bytes) {
  constexpr std::array<std::byte, kAlignment> kZeros{};
  SM_ASSERT(bytes < kZeros.size());
  Copy(kZeros.data(), bytes);
}

void RingWriter::End() {
  SM_ASSERT(record_end_ - written_ < kAlignment);
  written_ = record_end_;
}

// The store comes before the load in the one order of all such operations, as the reader's own
// store and load do in FallAsleep: one of the two sides sees the other.
bool RingWriter::Publish(Sleep wakes) {
  memory_.heads->written.store(written_, std::memory_order_seq_cst);
  if (memory_.heads->sleep.load(std::memory_order_seq_cst) < static_cast<uint32_t>(wakes)) {
    return false;
  }
  return memory_.heads->sleep.exchange(0, std::memory_order_relaxed) != 0;
}

void RingWriter::Copy(const void* bytes, uint64_t size) {
  if (size == 0) return;
  SM_ASSERT(size <= record_end_ - written_);
  const uint64_t at = written_ & (memory_.capacity - 1);
  const uint64_t first = std::min(size, memory_.capacity - at);
  std::memcpy(memory_.data + at, bytes, first);
  std::memcpy(memory_.data, static_cast<const std::byte*>(bytes) + first, size - first);
  written_ += size;
}

bool RingReader::Ready() const {
  return memory_.heads->written.load(std::memory_order_acquire) != read_;
}

RingReader::Found RingReader::Next(uint32_t& kind) {
  const uint64_t there = memory_.heads->written.load(std::memory_order_acquire) - read_;
  if (there == 0) return Found::kNothing;
  if (there > memory_.capacity || there % kAlignment != 0) return Found::kNonsense;
  record_end_ = read_ + sizeof(RecordHead);
  RecordHead head;
  if (!Take(std::as_writable_bytes(std::span(&head, 1)))) return Found::kNonsense;
  if (head.bytes < sizeof(head) || head.bytes > there || head.bytes % kAlignment != 0) {
    return Found::kNonsense;
  }
  record_end_ = read_ - sizeof(head) + head.bytes;
  kind = head.kind;
  return Found::kRecord;
}

bool RingReader::Take(std::span<std::byte> into) {
  if (into.size() > left()) return false;
  if (into.empty()) return true;
  const uint64_t at = read_ & (memory_.capacity - 1);
  const uint64_t first = std::min(into.size(), memory_.capacity - at);
  std::memcpy(into.data(), memory_.data + at, first);
  std::memcpy(into.data() + first, memory_.data, into.size() - first);
  read_ += into.size();
  return true;
}

bool RingReader::Skip(uint64_t bytes) {
  if (bytes > left()) return false;
  read_ += bytes;
  return true;
}

void RingReader::Finish() {
  read_ = record_end_;
  memory_.heads->read.store(read_, std::memory_order_release);
}

bool RingReader::FallAsleep(Sleep sleep) {
  memory_.heads->sleep.store(static_cast<uint32_t>(sleep), std::memory_order_seq_cst);
  if (memory_.heads->written.load(std::memory_order_seq_cst) == read_) return true;
  WakeUp();
  return false;
}

void RingReader::WakeUp() {
  memory_.heads->sleep.store(static_cast<uint32_t>(Sleep::kAwake), std::memory_order_relaxed);
}

}  // namespace shardmill
