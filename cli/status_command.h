#pragma once

#include <string>

#include "cli/console.h"
#include "common/flags/flags.h"
#include "common/result.h"
#include "common/status/job_status.h"

namespace shardmill {

// `shardmill status`: asks a job's coordinator and prints one screen. kUnavailable where none
// answers.
Result<> RunStatus(const StatusFlags& flags, const Console& console);

// The screen.
std::string DescribeStatus(const JobStatus& status);

}  // namespace shardmill
