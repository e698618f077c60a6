// The header frame of a message between processes, alone: protobuf behind a prefix of ours.
#include "common/rng.h"
#include "tests/common/wire/codec.h"
#include "tests/common/wire/random_packet.h"
#include "tests/fuzz/packets.h"

namespace shardmill::fuzz {

void Try(Input input) {
  const Frame header = Frame::CopyOf(BytesOf(input));
  TryFrames(std::span(&header, 1));
}

std::vector<std::string> Seeds() {
  std::vector<std::string> seeds;
  Rng rng(1);
  for (size_t kind = 0; kind < std::variant_size_v<Message>; ++kind) {
    Packet packet;
    packet.messages.emplace_back(Stamp{}, RandomMessage(rng, kind));
    seeds.push_back(TextOf(Encode(packet)[0]));
  }
  return seeds;
}

}  // namespace shardmill::fuzz
