#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "cli/console.h"
#include "client/model.h"
#include "common/flags/flags.h"
#include "common/job/job.h"
#include "common/result.h"
#include "worker/data/row.h"
#include "worker/given_weights.h"

namespace shardmill {

// The weights that the job names in train.weights, wherever they are: in a file, in a run's folder
// or in a snapshot.
Result<GivenWeights> OpenJobWeights(const JobOptions& job,
                                    std::span<const ParameterSpec> parameters,
                                    const Columns& columns);

// Makes the snapshot that the job begins from, in snapshot.to, and says of what. Returns its
// number. kStopped where `stopped` says so while the data are read.
Result<uint64_t> MakeStartSnapshot(const JobOptions& job, const Console& console,
                                   const std::function<bool()>& stopped);

// `shardmill snapshot begin JOB`: the same for a job whose processes somebody else starts.
Result<> RunSnapshotBegin(const SnapshotBeginFlags& flags, const Console& console);

}  // namespace shardmill
