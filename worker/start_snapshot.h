#pragma once

#include <cstdint>
#include <span>

#include "client/model.h"
#include "common/job/job.h"
#include "common/result.h"
#include "worker/given_weights.h"

namespace shardmill {

// Writes the snapshot that a job with given weights begins from, into its folder of snapshots: of
// step 0, with the tables that are given alone and optimizers that have gathered nothing. Returns
// its number, for snapshot.resume. kUnavailable: a job of this name keeps its snapshots there now.
Result<uint64_t> WriteStartSnapshot(const JobOptions& job,
                                    std::span<const ParameterSpec> parameters,
                                    GivenWeights& weights);

}  // namespace shardmill
