#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "common/frame.h"
#include "common/frame_pool.h"
#include "common/messages.h"
#include "common/result.h"
#include "common/wire/limits.h"

namespace shardmill {

// Messages to one peer that travel as one multipart message, in order.
struct Packet {
  std::vector<std::pair<Stamp, Message>> messages;
  uint32_t version = kProtocolVersionMax;  // That it is written in.
};

// Turns messages into frames and back. Its memory is used again from packet to packet. Owned by a
// Messenger, on its thread; the pool outlives it.
class WireCodec final {
 public:
  WireCodec(FramePool& pool, const WireLimits& limits);
  ~WireCodec();
  WireCodec(const WireCodec&) = delete;
  WireCodec& operator=(const WireCodec&) = delete;

  // Turns messages into a header frame (protobuf) and raw payload frames. Payload is referenced,
  // not copied. Cannot fail: what our own core hands in is sound. Valid until the next call.
  std::span<const Frame> Encode(const Packet& packet);

  // Turns frames into messages, believing nothing: sizes, counts, overflow, enum values and
  // alignment are checked, unknown versions and kinds are refused with words. Payload is
  // referenced, copied only where it lies unaligned.
  Result<> Decode(std::span<const Frame> frames, Packet& packet);

 private:
  struct Impl;  // Keeps protobuf out of this header.
  std::unique_ptr<Impl> impl_;
};

}  // namespace shardmill
