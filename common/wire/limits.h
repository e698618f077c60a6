#pragma once

#include <cstdint>

#include "common/messages.h"

namespace shardmill {

// What a decoder accepts; beyond it a message is refused before anything is allocated for it.
struct WireLimits {
  uint64_t message_bytes_max = uint64_t{512} << 20;  // Payload of one multipart message.
  uint32_t messages_max = 256;                       // Messages in one packet.
  uint32_t list_max = 65536;                         // Elements of any list in the header.
  uint32_t text_bytes_max = 65536;                   // Any one string.
  uint32_t version_min = kProtocolVersionMin;
  uint32_t version_max = kProtocolVersionMax;
};

}  // namespace shardmill
