#pragma once

#include "client/session.h"
#include "common/job/job.h"

namespace shardmill {

// How the worker of a rank reaches its job.
SessionOptions SessionOptionsOf(const JobOptions& job, uint32_t rank);

}  // namespace shardmill
