#pragma once

#include <cstdint>

#include "common/ids.h"
#include "common/messages.h"

// Which messages of a step belong together, as both of their ends can tell. Plain functions.
namespace shardmill {

struct TimelineRequest {
  const char* name = nullptr;  // Null: the message is none of these.
  uint64_t id = 0;             // The same at both ends, and of no other request of the job.
};

// What a worker's process asks of a shard: a Unit, an End or a Pull.
TimelineRequest RequestOf(const Message& message, BootId worker, ShardId shard);
// What it is answered: a Held, an Ended or a Pulled.
TimelineRequest AnswerOf(const Message& message, BootId worker, ShardId shard);

}  // namespace shardmill
