#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/blob/blob_store.h"
#include "common/result.h"

namespace shardmill {

// What reading every byte of a snapshot has shown.
struct VerifyReport {
  uint64_t files = 0;
  uint64_t bytes = 0;
  uint64_t floats = 0;  // Of dense tables, each element once, without their state.
  uint64_t rows = 0;
  uint64_t content = 0;                    // The logical hash of what was read.
  std::vector<std::string> problems = {};  // One a file at most: where, and what is wrong.
};

// Reads all of a snapshot and checks every checksum, that each float of a dense table is there once
// and each row once and in its bucket, and the logical hash. Keys of one table and shard are held
// in memory, 8 bytes each. What is wrong with a file is a problem in the report; an error says that
// there is no snapshot to look at.
Result<VerifyReport> VerifySnapshot(BlobStore& store, const std::string& folder);

}  // namespace shardmill
