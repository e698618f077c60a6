#include "worker/job_model.h"

#include <string>
#include <utility>

#include "nn/network_spec.h"

namespace shardmill {

Result<std::unique_ptr<NetworkModel>> MakeJobModel(const JobOptions& job, const DataSet& train,
                                                   const DataSet& test) {
  nn::NetworkSpec spec;
  spec.input = SM_TRY(nn::Shape::Make(train.row_shape));
  spec.loss = std::string(NameOf(job.model.loss));
  for (const LayerOptions& layer : job.model.layers) {
    spec.layers.push_back(
        nn::LayerSpec{.type = std::string(NameOf(layer.type)), .units = layer.units});
  }
  const DataSet& data = test.classes > train.classes ? test : train;
  Result<std::unique_ptr<NetworkModel>> model =
      NetworkModel::Make(spec, data.classes, job.job.seed);
  if (model.ok() || model.error().code != ErrorCode::kBadUsage) return model;
  // One damaged label makes classes that nobody has heard of.
  return Error{model.error().code, model.error().message + "; the greatest label is " +
                                       std::to_string(data.classes - 1) + " (" + data.greatest_at +
                                       ", counted from 0)"};
}

}  // namespace shardmill
