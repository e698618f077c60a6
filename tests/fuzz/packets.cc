#include "tests/fuzz/packets.h"

#include <algorithm>
#include <vector>

#include "tests/common/wire/codec.h"

namespace shardmill::fuzz {
namespace {

// Fewer than a process takes, so that no input asks for a gigabyte that is not in it.
constexpr WireLimits kLimits{.message_bytes_max = 1 << 20};

bool SameBytes(const Frame& a, const Frame& b) { return std::ranges::equal(a.bytes(), b.bytes()); }

}  // namespace

void TryFrames(std::span<const Frame> frames) {
  static WireCodec codec(TestFrames(), kLimits);
  Packet packet;
  if (!codec.Decode(frames, packet).ok()) return;
  const std::span<const Frame> encoded = codec.Encode(packet);
  const std::vector<Frame> first(encoded.begin(), encoded.end());
  Packet again;
  Check(codec.Decode(first, again).ok(), "what we write of what we took is taken");
  Check(std::ranges::equal(first, codec.Encode(again), SameBytes), "it is the same message");
}

std::string TextOf(const Frame& frame) {
  return {reinterpret_cast<const char*>(frame.bytes().data()), frame.size()};
}

}  // namespace shardmill::fuzz
