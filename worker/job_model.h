#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "common/job/job.h"
#include "common/result.h"
#include "nn/network_spec.h"
#include "worker/data/sample_store.h"
#include "worker/network_model.h"

namespace shardmill {

// A layer as the library takes it.
nn::LayerSpec LayerSpecOf(const LayerOptions& layer);

// The network that the job's [model] describes, on the device that [compute] names for that rank.
// It reads those of the data's columns that its layers name; the parts of a data set have the same
// columns, so any of them will do.
Result<std::unique_ptr<NetworkModel>> MakeJobModel(const JobOptions& job, const SampleStore& data,
                                                   uint32_t rank = 0);

// Whether the model can be trained in batches as the job cuts them, of so many rows an epoch.
Result<> CheckBatches(const JobOptions& job, const NetworkModel& model, uint64_t rows);

// Takes the memory of a step before the first. What the model computes again so that it fits, in
// words; empty: nothing.
Result<std::string> MakeRoomForSteps(const JobOptions& job, NetworkModel& model, uint64_t rows);

}  // namespace shardmill
