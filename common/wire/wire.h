#pragma once

#include <span>
#include <string>
#include <vector>

#include "common/frame.h"
#include "common/messages.h"
#include "common/result.h"

namespace shardmill {

// What a decoder accepts; beyond it a message is refused before anything is allocated for it.
struct WireLimits {
  uint64_t message_bytes_max = uint64_t{512} << 20;  // Payload of one multipart message.
  uint32_t messages_max = 256;                       // Messages in one packet.
  uint32_t list_max = 65536;                         // Elements of any list in the header.
  uint32_t text_bytes_max = 65536;                   // Any one string.
};

// Messages to one peer that travel as one multipart message, in order.
struct Packet {
  std::vector<std::pair<Stamp, Message>> messages;
};

// Turns messages into a header frame (protobuf) and raw payload frames. Payload is referenced, not
// copied. Cannot fail: what our own core hands in is sound.
std::vector<Frame> Encode(const Packet& packet);

// Turns frames into messages, believing nothing: sizes, counts, overflow, enum values and alignment
// are checked, unknown versions and kinds are refused with words. Payload is referenced, copied
// only where it lies unaligned.
Result<Packet> Decode(std::span<const Frame> frames, const WireLimits& limits);

}  // namespace shardmill
