#pragma once

#include <span>
#include <vector>

#include "common/frame_pool.h"
#include "common/wire/wire.h"

namespace shardmill {

inline FramePool& TestFrames() {
  static FramePool frames(FramePool::Memory::kPrivate);
  return frames;
}

// One packet at a time, for tests.
inline std::vector<Frame> Encode(const Packet& packet) {
  WireCodec codec(TestFrames(), {});
  const std::span<const Frame> encoded = codec.Encode(packet);
  return {encoded.begin(), encoded.end()};
}

inline Result<Packet> Decode(std::span<const Frame> frames, const WireLimits& limits) {
  WireCodec codec(TestFrames(), limits);
  Packet packet;
  SM_TRY(codec.Decode(frames, packet));
  return packet;
}

}  // namespace shardmill
