#include "worker/network_model.h"

#include <optional>
#include <string>
#include <utility>

#include "nn/ops/cpu/backend.h"

namespace shardmill {
namespace {

Result<> CheckRows(const Batch& batch) {
  if (batch.labels.size() == batch.rows &&
      batch.inputs.size() == uint64_t{batch.rows} * batch.row_size) {
    return {};
  }
  return Error{ErrorCode::kBadInput, "a batch says that it has " + std::to_string(batch.rows) +
                                         " rows of " + std::to_string(batch.row_size) +
                                         " numbers, but comes with " +
                                         std::to_string(batch.labels.size()) + " labels and " +
                                         std::to_string(batch.inputs.size()) + " numbers"};
}

nn::Samples SamplesOf(const Batch& batch, const nn::Input& input) {
  return {.inputs = {&input, 1},
          .targets = {.labels = batch.labels, .values = {}},
          .rows = batch.rows,
          .chance = batch.chance};
}

// How a parameter is stepped that is not stepped as the job says.
std::optional<UpdateSettings> UpdateOf(const nn::ParameterInfo& info, const UpdateSettings& job,
                                       uint32_t statistics) {
  if (info.role == nn::Role::kTrained && info.rate == 1) return std::nullopt;
  UpdateSettings update;
  if (info.role == nn::Role::kTrained && info.rate > 0) {
    update = job;
    update.rate.base *= static_cast<double>(info.rate);
    update.rate.end *= static_cast<double>(info.rate);
  } else if (info.role == nn::Role::kStatistic) {
    update.rate.base = static_cast<double>(info.rate) / statistics;
  }
  // What is frozen has a gradient of zero, and plain descent leaves it where it is.
  return update;
}

}  // namespace

Result<std::unique_ptr<NetworkModel>> NetworkModel::Make(const nn::NetworkSpec& spec,
                                                         uint32_t classes, uint64_t seed,
                                                         const UpdateSettings& update,
                                                         uint32_t statistics) {
  auto backend = std::make_unique<nn::CpuBackend>();
  std::unique_ptr<nn::Network> network = SM_TRY(nn::Network::Make(spec, *backend));
  const uint64_t outputs = network->output().size();
  const bool tells_classes = network->reads_labels();
  if (!tells_classes && outputs != 1) {
    return Error{ErrorCode::kBadUsage, "the loss \"" + spec.loss +
                                           "\" compares one output with the label, but the last "
                                           "layer gives " +
                                           network->output().ToString()};
  }
  if (tells_classes && outputs < classes) {
    return Error{ErrorCode::kBadUsage, "the last layer of the network has " +
                                           std::to_string(outputs) + " units, but the data has " +
                                           std::to_string(classes) +
                                           " classes: it needs one unit a class"};
  }
  std::vector<ParameterSpec> parameters;
  for (size_t i = 0; i < network->parameters().size(); ++i) {
    const nn::ParameterInfo& info = network->parameters()[i];
    parameters.push_back({.name = info.name,
                          .size = info.shape.size(),
                          .initial = network->InitialOf(seed, i),
                          .update = UpdateOf(info, update, statistics),
                          .trained = info.role == nn::Role::kTrained});
  }
  return std::unique_ptr<NetworkModel>(
      new NetworkModel(std::move(backend), std::move(network), std::move(parameters)));
}

NetworkModel::NetworkModel(std::unique_ptr<nn::Backend> backend,
                           std::unique_ptr<nn::Network> network,
                           std::vector<ParameterSpec> parameters)
    : backend_(std::move(backend)),
      network_(std::move(network)),
      parameters_(std::move(parameters)) {}

Result<double> NetworkModel::Train(const Batch& batch,
                                   std::span<const std::span<const float>> parameters,
                                   std::span<const std::span<float>> gradients) {
  return TrainWith(batch, parameters, gradients, nullptr);
}

Result<double> NetworkModel::TrainInFlow(const Batch& batch,
                                         std::span<const std::span<const float>> parameters,
                                         std::span<const std::span<float>> gradients,
                                         ParameterFlow& flow) {
  return TrainWith(batch, parameters, gradients, &flow);
}

Result<double> NetworkModel::TrainWith(const Batch& batch,
                                       std::span<const std::span<const float>> parameters,
                                       std::span<const std::span<float>> gradients,
                                       ParameterFlow* flow) {
  SM_TRY(CheckRows(batch));
  const nn::Input input{.floats = batch.inputs, .ids = {}};
  return network_->Train(SamplesOf(batch, input), parameters, gradients, flow);
}

Result<Evaluation> NetworkModel::Evaluate(const Batch& batch,
                                          std::span<const std::span<const float>> parameters) {
  SM_TRY(CheckRows(batch));
  const nn::Input input{.floats = batch.inputs, .ids = {}};
  const nn::LossSums sums = SM_TRY(network_->Evaluate(SamplesOf(batch, input), parameters));
  return Evaluation{.rows = batch.rows, .correct = sums.correct, .loss = sums.loss};
}

}  // namespace shardmill
