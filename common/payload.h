#pragma once

#include <cstdint>

#include "common/entry.h"
#include "common/messages.h"
#include "common/table_piece.h"

namespace shardmill {

// Payload frames of messages that travel together, but for a message that has more alone; a
// receiver takes some thousands at most.
inline constexpr uint64_t kTogetherFramesMax = 1024;

// What a message, or a part of one, brings beside the header.
struct Payload {
  uint64_t frames = 0;
  uint64_t bytes = 0;

  Payload& operator+=(const Payload& more) {
    frames += more.frames;
    bytes += more.bytes;
    return *this;
  }
};

Payload PayloadOf(const EntryPart& part);
Payload PayloadOf(const Entry& entry);
// Counts of updates, which stand in the header, are counted as if they did not.
Payload PayloadOf(const TablePiece& piece);
Payload PayloadOf(const Message& message);

}  // namespace shardmill
