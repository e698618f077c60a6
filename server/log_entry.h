#pragma once

#include <cstdint>
#include <vector>

#include "common/frame.h"
#include "common/ids.h"

namespace shardmill {

// A worker's step that an entry counts.
struct Contribution {
  WorkerId rank;
  Step step = 0;
  double samples = 0;
};

// One unit's gradient and its weight in the entry.
struct ChangePart {
  TableId table;
  uint64_t begin = 0;  // In floats, in the whole table.
  float weight = 1;
  Frame gradient;
};

// One change of a shard's tables: all that another copy of the shard needs to make the same change.
// Parts stand in rank order, and within a rank in the order of its units.
struct LogEntry {
  uint64_t version = 0;  // Counted from 1.
  float learning_rate = 0;
  std::vector<Contribution> made;
  std::vector<ChangePart> parts;
};

}  // namespace shardmill
