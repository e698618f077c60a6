#pragma once

#include <cstdint>
#include <vector>

#include "common/job/job.h"

namespace shardmill {

// The jobs that a job goes on from, as the snapshot that it begins from says (snapshot.resume), the
// oldest first: what they have kept is its own. None where it begins anew, and where that snapshot
// does not lie within reach.
std::vector<uint64_t> JobLine(const JobOptions& job);

}  // namespace shardmill
