#pragma once

#include <cstdint>

namespace shardmill {

// How the rows of a data set are dealt to the ranks.
enum class DataScheme : uint8_t {
  kContiguous,  // Each rank keeps one piece of the file.
  kRoundRobin,  // Of W ranks, each keeps every W-th row.
  kRandom,      // The rows are shuffled and dealt anew each epoch.
  kOverlap,     // Every rank goes through all rows.
  kLeased,      // The rows are shuffled anew each epoch; who asks gets the next of them.
};

}  // namespace shardmill
