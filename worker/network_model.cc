#include "worker/network_model.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

namespace shardmill {
namespace {

// The update that the parameter's layer names.
const UpdateSettings* OwnUpdate(const nn::ParameterInfo& info, const NetworkSettings& settings) {
  for (const auto& [layer, update] : settings.updates) {
    if (info.name.starts_with(layer + '.')) return &update;
  }
  return nullptr;
}

// How a parameter is stepped that is not stepped as the job says.
std::optional<UpdateSettings> UpdateOf(const nn::ParameterInfo& info,
                                       const NetworkSettings& settings) {
  const UpdateSettings* own = OwnUpdate(info, settings);
  if (info.role == nn::Role::kTrained && info.rate == 1 && own == nullptr) return std::nullopt;
  UpdateSettings update;
  if (info.role == nn::Role::kTrained && info.rate > 0) {
    update = own == nullptr ? settings.update : *own;
    update.rate.base *= static_cast<double>(info.rate);
    update.rate.end *= static_cast<double>(info.rate);
  } else if (info.role == nn::Role::kStatistic) {
    update.rate.base = static_cast<double>(info.rate) / settings.statistics;
  }
  // What is frozen has a gradient of zero, and plain descent leaves it where it is.
  return update;
}

// Words where the loss cannot compare the network's output with what is learnt.
Result<> CheckTarget(const nn::NetworkSpec& spec, const nn::Network& network, uint32_t classes,
                     const NetworkSettings& settings) {
  const uint64_t outputs = network.output().size();
  const auto bad = [](std::string words) { return Error{ErrorCode::kBadUsage, std::move(words)}; };
  const bool tells_classes = network.reads_labels();
  if (tells_classes && (classes == 0 || settings.target)) {
    return bad("the loss \"" + spec.loss + "\" reads classes, but what is learnt are numbers");
  }
  if (tells_classes && outputs < classes) {
    return bad("the last layer of the network has " + std::to_string(outputs) +
               " units, but the data has " + std::to_string(classes) +
               " classes: it needs one unit a class");
  }
  if (tells_classes) return {};
  if (settings.target) {
    if (settings.target->row_size == outputs) return {};
    return bad("the loss \"" + spec.loss + "\" compares the output with " +
               std::to_string(settings.target->row_size) +
               " numbers of an input (model.target), but the last layer gives " +
               network.output().ToString());
  }
  if (outputs == 1) return {};
  return bad("the loss \"" + spec.loss +
             "\" compares one output with the label, but the last layer gives " +
             network.output().ToString());
}

ParameterSpec SpecOf(const nn::Network& network, size_t index, uint64_t seed,
                     const NetworkSettings& settings) {
  const nn::ParameterInfo& info = network.parameters()[index];
  ParameterSpec spec{.name = info.name,
                     .size = info.shape.size(),
                     .initial = network.InitialOf(seed, index),
                     .update = UpdateOf(info, settings),
                     .trained = info.role == nn::Role::kTrained};
  if (info.input < network.inputs().size()) {
    spec.reads = settings.columns.empty() ? info.input : settings.columns[info.input];
  }
  if (info.shape.dim(0) == 0) {
    spec.dim = static_cast<uint32_t>(info.shape.dim(1));
    spec.input = spec.reads.value();
    return spec;
  }
  for (size_t axis = 0; axis < info.shape.dims(); ++axis) {
    spec.shape.push_back(info.shape.dim(axis));
  }
  return spec;
}

}  // namespace

Result<std::unique_ptr<NetworkModel>> NetworkModel::Make(const nn::NetworkSpec& spec,
                                                         uint32_t classes, uint64_t seed,
                                                         const NetworkSettings& settings,
                                                         Device device) {
  std::unique_ptr<nn::Network> network = SM_TRY(nn::Network::Make(spec, *device.backend));
  SM_TRY(CheckTarget(spec, *network, classes, settings));
  std::vector<ParameterSpec> parameters;
  for (size_t i = 0; i < network->parameters().size(); ++i) {
    parameters.push_back(SpecOf(*network, i, seed, settings));
  }
  // Ids that count the rows of a batch's keys are no ids of another layer's own table.
  for (const nn::ParameterInfo& sparse : network->parameters()) {
    if (sparse.shape.dim(0) > 0) continue;
    const nn::GraphValue& input = network->inputs()[sparse.input];
    if (input.index_limit == UINT64_MAX) continue;
    return Error{ErrorCode::kBadUsage, "\"" + sparse.name + "\" reads \"" + input.name +
                                           "\" by key, and another layer reads it with \"rows\" "
                                           "of its own: give both \"rows\", or neither"};
  }
  return std::unique_ptr<NetworkModel>(
      new NetworkModel(std::move(device), std::move(network), std::move(parameters), settings));
}

NetworkModel::NetworkModel(Device device, std::unique_ptr<nn::Network> network,
                           std::vector<ParameterSpec> parameters, const NetworkSettings& settings)
    : device_(std::move(device)),
      network_(std::move(network)),
      parameters_(std::move(parameters)),
      target_(settings.target),
      columns_(settings.columns) {
  for (size_t i = columns_.size(); i < network_->inputs().size(); ++i) columns_.push_back(i);
}

Result<> NetworkModel::MakeRoom(uint64_t rows) {
  const bool kept = network_->kept() != nullptr;
  SM_TRY(network_->MakeRoom(rows));
  if (kept && network_->kept() == nullptr) SayStepsOnHost(nn::Network::kNotKept);
  return {};
}

Result<nn::Samples> NetworkModel::SamplesOf(const Batch& batch) {
  inputs_.clear();
  for (const size_t column : columns_) {
    if (column >= batch.inputs.size()) {
      return Error{ErrorCode::kBadInput, "a batch comes with " +
                                             std::to_string(batch.inputs.size()) +
                                             " inputs, but the network reads one after them"};
    }
    const ColumnView& input = batch.inputs[column];
    inputs_.push_back({.floats = input.floats, .ids = input.ids, .ends = input.ends});
  }
  nn::Targets targets{.labels = batch.labels, .values = batch.values};
  if (target_) targets = {.labels = {}, .values = batch.inputs[target_->column].floats};
  return nn::Samples{
      .inputs = inputs_, .targets = targets, .rows = batch.rows, .chance = batch.chance};
}

Result<double> NetworkModel::Train(const Batch& batch,
                                   std::span<const std::span<const float>> parameters,
                                   std::span<const std::span<float>> gradients) {
  const nn::Samples samples = SM_TRY(SamplesOf(batch));
  return network_->Train(samples, parameters, gradients);
}

Result<double> NetworkModel::TrainInFlow(const Batch& batch,
                                         std::span<const std::span<const float>> parameters,
                                         std::span<const std::span<float>> gradients,
                                         ParameterFlow& flow) {
  const nn::Samples samples = SM_TRY(SamplesOf(batch));
  return network_->Train(samples, parameters, gradients, &flow);
}

Result<Evaluation> NetworkModel::Evaluate(const Batch& batch,
                                          std::span<const std::span<const float>> parameters) {
  const nn::Samples samples = SM_TRY(SamplesOf(batch));
  const nn::LossSums sums = SM_TRY(network_->Evaluate(samples, parameters));
  return Evaluation{
      .rows = batch.rows, .correct = sums.correct, .loss = sums.loss, .outputs = sums.outputs};
}

Result<std::span<const float>> NetworkModel::Predict(
    const Batch& batch, std::span<const std::span<const float>> parameters) {
  const nn::Samples samples = SM_TRY(SamplesOf(batch));
  return network_->Predict(samples, parameters);
}

}  // namespace shardmill
