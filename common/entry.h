#pragma once

#include <cstdint>
#include <vector>

#include "common/data_lease.h"
#include "common/frame.h"
#include "common/ids.h"

namespace shardmill {

// A worker's step that an entry counts.
struct Contribution {
  WorkerId rank;
  Step step = 0;
  double samples = 0;
  bool discarded = false;  // Its round was closed without it.
  uint32_t attempt = 0;    // Of its worker at the step.
  DataCursor used = {};    // Of its worker's leases of data.
};

// An entry of a shard's log as it goes to another copy of the shard: see LogEntry, which is the
// same where it is applied.
struct EntryPart {
  uint64_t begin = 0;  // In floats, in the whole table; of a dense one.
  float weight = 1;
  Frame gradient;
  Frame keys = {};  // Of a sparse table.
  bool combined = false;
};
struct EntryChange {
  TableId table;
  float rate = 0;
  std::vector<EntryPart> parts;
};
struct Entry {
  uint64_t version = 0;
  std::vector<Contribution> made;
  std::vector<EntryChange> changes;
  bool more = false;  // A piece: the next one has more changes or parts, the last one has `made`.
};

}  // namespace shardmill
