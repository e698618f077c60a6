// A whole multipart message: a header frame and frames of payload, which may lie unaligned. The
// input is a byte, whose lowest bit says whether they do, and then the frames, each as a piece.
#include <algorithm>

#include "common/rng.h"
#include "tests/common/wire/codec.h"
#include "tests/common/wire/random_packet.h"
#include "tests/fuzz/packets.h"

namespace shardmill::fuzz {
namespace {

constexpr size_t kFramesMax = 64;

Frame FrameOf(Input bytes, bool unaligned) {
  std::vector<uint8_t> shifted(unaligned ? 1 : 0);
  shifted.insert(shifted.end(), bytes.begin(), bytes.end());
  const Frame whole = Frame::CopyOf(BytesOf(shifted));
  return whole.Slice(shifted.size() - bytes.size(), bytes.size());
}

}  // namespace

void Try(Input input) {
  Cutter cutter(input);
  const bool unaligned = cutter.Byte() % 2 == 1;
  std::vector<Frame> frames;
  while (!cutter.rest().empty() && frames.size() < kFramesMax) {
    frames.push_back(FrameOf(cutter.Piece(), unaligned));
  }
  TryFrames(frames);
}

std::vector<std::string> Seeds() {
  std::vector<std::string> seeds;
  Rng rng(2);
  const auto add = [&](const Packet& packet) {
    std::string seed(1, static_cast<char>(seeds.size() % 2));
    for (const Frame& frame : Encode(packet)) seed += AsPiece(TextOf(frame));
    seeds.push_back(std::move(seed));
  };
  for (size_t kind = 0; kind < std::variant_size_v<Message>; ++kind) {
    Packet packet;
    packet.messages.emplace_back(Stamp{}, RandomMessage(rng, kind));
    add(packet);
  }
  for (int i = 0; i < 8; ++i) add(RandomPacket(rng));
  return seeds;
}

}  // namespace shardmill::fuzz
