#pragma once

#include <memory>

#include "common/job/job.h"
#include "common/result.h"
#include "nn/network_spec.h"
#include "worker/data/data_set.h"
#include "worker/network_model.h"

namespace shardmill {

// A layer as the library takes it.
nn::LayerSpec LayerSpecOf(const LayerOptions& layer);

// The network that the job's [model] describes, for rows and labels as the data has them.
Result<std::unique_ptr<NetworkModel>> MakeJobModel(const JobOptions& job, const DataSet& train,
                                                   const DataSet& test);

}  // namespace shardmill
