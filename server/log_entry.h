#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "common/entry.h"
#include "common/frame.h"
#include "common/ids.h"
#include "server/row_index.h"

namespace shardmill {

// A list of keys on its shard, and the rows found for them so far.
struct KeyRows {
  TableId table;
  Frame keys;
  std::vector<uint32_t> rows;  // One a key; RowIndex::kNone: not looked up, or not there yet.

  uint64_t bytes() const { return keys.size() + rows.size() * sizeof(uint32_t); }
};

// One unit's values and their weight in the entry.
struct ChangePart {
  uint64_t begin = 0;  // In floats, in the whole table; of a dense one.
  float weight = 1;
  Frame gradient;
  // Of a sparse table. Shared: the list also serves the pulls and pushes that come after.
  std::shared_ptr<KeyRows> keys = {};
  // Several units of one range, summed, each by its weight already; `weight` is their sum.
  bool combined = false;
};

// What an entry does to one table. Parts stand in rank order, and within a rank in the order of its
// units.
struct TableChange {
  TableId table;
  float rate = 0;
  std::vector<ChangePart> parts;
};

// One change of a shard's tables: all that another copy of the shard needs to make the same change.
struct LogEntry {
  uint64_t version = 0;  // Counted from 1.
  std::vector<Contribution> made;
  std::vector<TableChange> changes;
};

}  // namespace shardmill
