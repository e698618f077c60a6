#include "worker/network_model.h"

#include <string>
#include <utility>

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

}  // namespace

Result<std::unique_ptr<NetworkModel>> NetworkModel::Make(const nn::NetworkSpec& spec,
                                                         uint32_t classes, uint64_t seed) {
  std::unique_ptr<nn::Network> network = SM_TRY(nn::Network::Make(spec));
  const uint64_t outputs = network->output().size();
  if (outputs < classes) {
    return Error{ErrorCode::kBadUsage, "the last layer of the network has " +
                                           std::to_string(outputs) + " units, but the data has " +
                                           std::to_string(classes) +
                                           " classes: it needs one unit a class"};
  }
  return std::make_unique<NetworkModel>(std::move(network), seed);
}

NetworkModel::NetworkModel(std::unique_ptr<nn::Network> network, uint64_t seed)
    : network_(std::move(network)) {
  for (size_t i = 0; i < network_->parameters().size(); ++i) {
    const nn::ParameterInfo& parameter = network_->parameters()[i];
    parameters_.push_back({parameter.name, parameter.shape.size(), network_->InitialOf(seed, i)});
  }
}

Result<double> NetworkModel::Train(const Batch& batch,
                                   std::span<const std::span<const float>> parameters,
                                   std::span<const std::span<float>> gradients) {
  SM_TRY(CheckRows(batch));
  return network_->Train(batch.inputs, batch.labels, parameters, gradients);
}

Result<Evaluation> NetworkModel::Evaluate(const Batch& batch,
                                          std::span<const std::span<const float>> parameters) {
  SM_TRY(CheckRows(batch));
  const nn::LossSums sums = SM_TRY(network_->Evaluate(batch.inputs, batch.labels, parameters));
  return Evaluation{.rows = batch.rows, .correct = sums.correct, .loss = sums.loss};
}

}  // namespace shardmill
