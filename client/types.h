#pragma once

#include <cstdint>

namespace shardmill {

// A table of the job, as both ends know it. A value; good for the session that gave it.
struct DenseTable {
  uint32_t id = 0;
  uint64_t size = 0;  // In floats.
};

// An operation under way: a number that owns nothing.
struct Ticket {
  uint64_t id = 0;
};

// What a pull was answered at: rounds that every worker has finished, changes applied (the fewest
// of the shards asked), and how many rounds behind the reader's own that was (the most).
struct Served {
  uint64_t closed = 0;
  uint64_t version = 0;
  uint64_t staleness = 0;
};

}  // namespace shardmill
