#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/job/job.h"
#include "common/result.h"

namespace shardmill {

// What a replay came to.
struct ReplayOutcome {
  uint32_t shards = 0;
  uint64_t applied = 0;    // Changes, of all shards.
  uint64_t served = 0;     // Pulls, of all shards.
  uint64_t gradients = 0;  // Made from what was served.
  uint32_t weights_crc32 = 0;
};

// Makes a recorded run again, in this thread: real shards, each taking its trace's events in their
// order, and between them the gradients of the job's model. `job` is what the run was made of. An
// error says what cannot be replayed, or where the replay went another way than the record.
Result<ReplayOutcome> ReplayRun(const JobOptions& job, const std::vector<std::string>& traces);

}  // namespace shardmill
