#include "worker/job_model.h"

#include <optional>
#include <string>
#include <utility>

#include "nn/own_types.h"

namespace shardmill {
namespace {

std::optional<double> Said(double value) {
  return value == 0 ? std::nullopt : std::optional<double>(value);
}

// What is wrong with it is wrong with the job file: no restart mends it.
Result<const nn::OwnTypes*> OpenJobLibrary(const std::string& path) {
  Result<const nn::OwnTypes*> own = nn::OpenOwnTypes(path);
  if (own.ok()) return own;
  return Error{ErrorCode::kBadUsage, "model.library: " + own.error().message};
}

}  // namespace

nn::LayerSpec LayerSpecOf(const LayerOptions& layer) {
  nn::LayerSpec spec;
  spec.type = layer.type;
  spec.name = layer.name;
  spec.inputs = layer.inputs;
  spec.units = layer.units;
  spec.kernel = layer.kernel;
  spec.stride = layer.stride;
  if (layer.padding > 0) spec.padding = layer.padding;
  spec.groups = layer.groups;
  spec.shape = layer.shape;
  spec.cell_output = layer.cell_output;
  spec.rate = Said(layer.rate);
  spec.slope = Said(layer.slope);
  spec.epsilon = Said(layer.epsilon);
  spec.initial = layer.initial;
  spec.no_bias = !layer.bias;
  spec.momentum = Said(layer.momentum);
  spec.frozen = layer.frozen;
  spec.learning_rate = layer.learning_rate;
  return spec;
}

Result<std::unique_ptr<NetworkModel>> MakeJobModel(const JobOptions& job, const DataSet& train,
                                                   const DataSet& test) {
  nn::NetworkSpec spec;
  spec.input = SM_TRY(nn::Shape::Make(train.row_shape));
  spec.loss = job.model.loss;
  if (!job.model.library.empty()) spec.own = SM_TRY(OpenJobLibrary(job.model.library));
  for (const LayerOptions& layer : job.model.layers) spec.layers.push_back(LayerSpecOf(layer));
  // A round's sum has the statistics of every worker.
  const bool sums = job.policy.mode == PolicyMode::kSync &&
                    job.policy.aggregate == Aggregate::kSum &&
                    job.policy.exchange == Exchange::kGradients;
  const DataSet& data = test.classes > train.classes ? test : train;
  Result<std::unique_ptr<NetworkModel>> model = NetworkModel::Make(
      spec, data.classes, job.job.seed, job.optimizer.ToUpdate(), sums ? job.cluster.workers : 1);
  if (model.ok() || model.error().code != ErrorCode::kBadUsage) return model;
  // One damaged label makes classes that nobody has heard of.
  return Error{model.error().code, model.error().message + "; the greatest label is " +
                                       std::to_string(data.classes - 1) + " (" + data.greatest_at +
                                       ")"};
}

}  // namespace shardmill
