#pragma once

#include <memory>
#include <string>

#include "cli/console.h"
#include "common/flags/flags.h"
#include "common/job/job.h"
#include "common/result.h"
#include "worker/data/read_data.h"
#include "worker/model_file.h"
#include "worker/network_model.h"

namespace shardmill {

// A job with its data and what it was trained to. A value of the command that looks at it; members
// borrow from those above them.
struct TrainedModel {
  JobOptions job;
  DataParts data;
  std::unique_ptr<NetworkModel> network;
  std::unique_ptr<ModelFile> parameters;
  const SampleStore* rows = nullptr;  // Of the part that was asked for.
};

// Reads the job, a model and rows: the file of that name, such as an exported snapshot, or the one
// in that folder of a run, where empty is the newest run of the job; and a part of the data,
// "train", "validate" or "test", where empty is what the job is measured with.
Result<TrainedModel> OpenTrainedModel(const JobFlags& job, const std::string& model,
                                      const std::string& part, LabelColumn label_column,
                                      const Console& console);

}  // namespace shardmill
