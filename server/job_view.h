#pragma once

#include "common/clock.h"
#include "common/status/job_status.h"
#include "server/coordinator.h"

namespace shardmill {

// What the coordinator knows of the job, as it tells people.
JobStatus StatusOf(const Coordinator& coordinator, TimePoint now);

}  // namespace shardmill
