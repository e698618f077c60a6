#pragma once

#include <cstdint>

#include "tests/system/chaos/cluster.h"

namespace shardmill::chaos {

// What the tables say in the end, held against what the workers wrote down.
struct Tally {
  uint64_t lost = 0;        // Steps that were acknowledged and are not on a shard that they touch.
  uint64_t duplicated = 0;  // Steps that are on a shard more than once.
};

// Reads what every rank has found at the end of the training. What is wrong besides is said to the
// cluster as a violation.
Tally CheckValues(Cluster& cluster);

}  // namespace shardmill::chaos
