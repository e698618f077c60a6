#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "common/initial.h"
#include "common/update.h"

namespace shardmill {

// Tables of the job, as both ends know them. Values; good for the session that gave them. All hold
// float32, whatever a model computes in: convert before a push and after a pull.
struct DenseTable {
  uint32_t id = 0;
  uint64_t size = 0;  // In floats.
};
struct SparseTable {
  uint32_t id = 0;
  uint32_t dim = 0;  // Floats of a row.
};

// A list of keys of a sparse table that both ends have resolved. Good until it is unbound.
struct KeySet {
  uint64_t id = 0;
  uint64_t count = 0;  // Keys, equal ones too.
  uint32_t dim = 0;
};

// What a table starts from, and how pushes change it; without `update`, as the job says.
struct TableOptions {
  Initial initial;
  std::optional<UpdateSettings> update;
};

// An operation under way: a number that owns nothing.
struct Ticket {
  uint64_t id = 0;
};

// How a pull is made.
struct PullOptions {
  // Rounds that every worker must have finished, whatever the policy allows: with the number of all
  // steps a pull reads the end of the training.
  uint64_t closed_min = 0;
  // What is asked for beyond the window waits, and leaves by this: the highest first.
  int priority = 0;
  // For the step after this one: it leaves with this step's end, and so costs no round trip of its
  // own. Its ticket is waited for in that step, and its memory lent until that one is over. A step
  // that is left unfinished takes it along.
  bool next_step = false;
};

// A part of what was read, where it lies.
struct ReadPiece {
  uint64_t begin = 0;  // In the whole table.
  std::span<const float> values;
};

// What a pull was answered at: rounds that every worker has finished, changes applied (the fewest
// of the shards asked), and how many rounds behind the reader's own that was (the most).
struct Served {
  uint64_t closed = 0;
  uint64_t version = 0;
  uint64_t staleness = 0;
};

// What became of a step that is over.
struct Finished {
  bool counted = true;   // False: its round was closed without it, and nothing was applied.
  bool skipped = false;  // Its gradient was no number, and was left out.
};

}  // namespace shardmill
