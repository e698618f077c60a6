#include "worker/network_model.h"

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

}  // namespace

Result<std::unique_ptr<NetworkModel>> NetworkModel::Make(const nn::NetworkSpec& spec,
                                                         uint32_t classes, uint64_t seed) {
  auto backend = std::make_unique<nn::CpuBackend>();
  std::unique_ptr<nn::Network> network = SM_TRY(nn::Network::Make(spec, *backend));
  const uint64_t outputs = network->output().size();
  const bool tells_classes = spec.loss == "softmax_cross_entropy";
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
  return std::unique_ptr<NetworkModel>(
      new NetworkModel(std::move(backend), std::move(network), seed));
}

NetworkModel::NetworkModel(std::unique_ptr<nn::Backend> backend,
                           std::unique_ptr<nn::Network> network, uint64_t seed)
    : backend_(std::move(backend)), network_(std::move(network)) {
  for (size_t i = 0; i < network_->parameters().size(); ++i) {
    const nn::ParameterInfo& parameter = network_->parameters()[i];
    parameters_.push_back({parameter.name, parameter.shape.size(), network_->InitialOf(seed, i)});
  }
}

Result<double> NetworkModel::Train(const Batch& batch,
                                   std::span<const std::span<const float>> parameters,
                                   std::span<const std::span<float>> gradients) {
  SM_TRY(CheckRows(batch));
  const nn::Input input{.floats = batch.inputs, .ids = {}};
  return network_->Train(SamplesOf(batch, input), parameters, gradients);
}

Result<Evaluation> NetworkModel::Evaluate(const Batch& batch,
                                          std::span<const std::span<const float>> parameters) {
  SM_TRY(CheckRows(batch));
  const nn::Input input{.floats = batch.inputs, .ids = {}};
  const nn::LossSums sums = SM_TRY(network_->Evaluate(SamplesOf(batch, input), parameters));
  return Evaluation{.rows = batch.rows, .correct = sums.correct, .loss = sums.loss};
}

}  // namespace shardmill
