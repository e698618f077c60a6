#pragma once

#include <cstdint>
#include <vector>

#include "common/data_range.h"
#include "common/ids.h"

namespace shardmill {

// Places that one rank may use, and nobody else. `seq` numbers a rank's leases, from 1, through all
// its lives.
struct DataLease {
  uint64_t seq = 0;
  DataRange range = {};

  bool operator==(const DataLease&) const = default;
};

// What a rank has used of its leases: those below `seq` whole, and so many places of that one.
struct DataCursor {
  uint64_t seq = 0;
  uint64_t offset = 0;

  bool operator==(const DataCursor&) const = default;
};

// All that is known of the data of a job whose workers lease it (see server/data_leases.h), as the
// coordinator's log and the manifests of snapshots have it.
struct DataState {
  struct Rank {
    WorkerId rank;
    uint64_t last = 0;  // The last seq that was given.
    std::vector<DataLease> held = {};

    bool operator==(const Rank&) const = default;
  };

  uint64_t rows = 0;                     // Of the data set; 0: nobody has said yet.
  uint64_t chunk = 0;                    // Rows of a chunk.
  uint64_t epoch = 0;                    // What nobody ever had begins here,
  uint64_t begin = 0;                    // at this place.
  std::vector<DataRange> returned = {};  // Of what comes before, by place.
  uint64_t used = 0;                     // Places whose step is over.
  std::vector<Rank> ranks = {};

  bool operator==(const DataState&) const = default;
};

}  // namespace shardmill
