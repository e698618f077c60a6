#include "tests/system/faults/message_stream.h"

#include <algorithm>

namespace shardmill::chaos {
namespace {

constexpr size_t kGreetingBytes = 64;
// The first byte of a frame.
constexpr uint8_t kMore = 1;
constexpr uint8_t kLong = 2;
constexpr uint8_t kCommand = 4;

struct Frame {
  uint8_t flags = 0;
  uint64_t bytes = 0;  // With what stands before it.
};

std::optional<Frame> FrameAt(std::string_view bytes) {
  if (bytes.size() < 2) return std::nullopt;
  const auto flags = static_cast<uint8_t>(bytes[0]);
  const size_t digits = (flags & kLong) != 0 ? 8 : 1;
  if (bytes.size() < 1 + digits) return std::nullopt;
  uint64_t size = 0;
  for (size_t i = 1; i <= digits; ++i) size = size << 8 | static_cast<uint8_t>(bytes[i]);
  const Frame frame{flags, 1 + digits + size};
  return frame.bytes > bytes.size() ? std::nullopt : std::optional(frame);
}

}  // namespace

std::optional<MessageStream::Unit> MessageStream::Next() {
  if (greeting_ < kGreetingBytes) {
    const size_t size = std::min(kGreetingBytes - greeting_, bytes_.size());
    greeting_ += size;
    return Take(size, false);
  }
  while (const std::optional<Frame> frame = FrameAt(std::string_view(bytes_).substr(frames_))) {
    frames_ += frame->bytes;
    if ((frame->flags & kMore) == 0) return Take(frames_, (frame->flags & kCommand) == 0);
  }
  return std::nullopt;
}

std::optional<MessageStream::Unit> MessageStream::Take(size_t size, bool message) {
  if (size == 0) return std::nullopt;
  Unit unit{message, bytes_.substr(0, size)};
  bytes_.erase(0, size);
  frames_ = 0;
  return unit;
}

}  // namespace shardmill::chaos
