#pragma once

#include <cstdint>

#include "common/job/job.h"
#include "common/result.h"
#include "worker/data/read_data.h"

namespace shardmill {

// What the processes of a job take of memory at least, by docs/operations.md: without rows of
// sparse tables, batches, and what layers keep.
struct JobMemory {
  uint64_t servers = 0;
  uint64_t workers = 0;
};

// The files that the data is read from, as large as they are on disk.
uint64_t FileBytes(const DataOptions& data);

// Of a job whose data was read. Builds its model; the error is the model's.
Result<JobMemory> SizeOf(const JobOptions& job, const DataParts& data);

}  // namespace shardmill
