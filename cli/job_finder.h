#pragma once

#include <string>

#include "cli/console.h"
#include "common/flags/flags.h"
#include "common/result.h"
#include "common/status/job_status.h"

namespace shardmill {

// Asks the coordinator whose page is at "HOST:PORT". kUnavailable: nobody answers there.
Result<JobStatus> AskCoordinator(const std::string& http);

// A job that answers, and where.
struct FoundJob {
  std::string http = {};
  JobStatus status = {};
};

// Finds the job that the flags mean. kUnavailable where it does not answer, in words.
Result<FoundJob> FindJob(const JobPlace& place, const Console& console);

}  // namespace shardmill
