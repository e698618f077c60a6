#include "nn/network.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "common/assert.h"
#include "common/rng.h"
#include "nn/losses/make_loss.h"
#include "nn/own_types.h"

namespace shardmill::nn {
namespace {

// Keeps the chance of the first weights apart from what else the job's seed is used for.
constexpr uint64_t kFirstWeights = 0x7765696768747331;

double Sum(std::span<const float> numbers) {
  return std::accumulate(numbers.begin(), numbers.end(), 0.0, [](double sum, float number) {
    return sum + static_cast<double>(number);
  });
}

// What of a network differs from step to step, so that no device can record one.
std::string WhatVaries(const Graph& graph, const Backend& backend) {
  if (backend.on_host()) return backend.not_recorded();
  for (const GraphValue& value : std::span(graph.values).first(graph.inputs)) {
    if (value.type.kind == ValueKind::kSparse) {
      return "the input \"" + value.name + "\" has any number of ids in a batch";
    }
  }
  for (const ParameterInfo& info : graph.parameters) {
    if (info.shape.dim(0) == 0) {
      return "of \"" + info.name + "\" each step reads other rows";
    }
  }
  return "";
}

StepParts PartsOf(const Graph& graph, Backend& backend, size_t penalties) {
  StepParts parts{.graph = &graph, .saved = {}, .penalties = penalties};
  for (const GraphNode& node : graph.nodes) {
    parts.saved.push_back(node.passes ? SavedSize{} : node.layer->Saved(backend));
  }
  return parts;
}

}  // namespace

Result<std::unique_ptr<Network>> Network::Make(const NetworkSpec& spec, Backend& backend) {
  Graph graph = SM_TRY(MakeGraph(spec));
  std::unique_ptr<Loss> loss =
      SM_TRY(MakeLoss(spec.loss, graph.output().type.row,
                      spec.own == nullptr ? std::span<const LossType>() : spec.own->losses));
  return std::unique_ptr<Network>(new Network(spec, std::move(graph), std::move(loss), backend));
}

Network::Network(const NetworkSpec& spec, Graph graph, std::unique_ptr<Loss> loss, Backend& backend)
    : backend_(backend),
      graph_(std::move(graph)),
      loss_(std::move(loss)),
      l1_(static_cast<float>(spec.l1)),
      l2_(static_cast<float>(spec.l2)),
      recompute_(spec.recompute),
      memory_max_(spec.memory_max / sizeof(float)),
      regularized_(static_cast<size_t>(std::ranges::count_if(
          graph_.parameters, [this](const ParameterInfo& info) { return Regularizes(info); }))),
      parts_(PartsOf(graph_, backend, regularized_)),
      training_(parts_),
      evaluation_(parts_, StepLayout::Ways::kForward),
      arena_(backend),
      varies_(WhatVaries(graph_, backend)),
      recordings_(backend),
      host_losses_(backend, Arena::Where::kHost),
      host_output_(backend, Arena::Where::kHost) {
  if (!backend.on_host()) transfer_.emplace(backend, spec.half_gradients);
  uint64_t row_floats_max = 1;
  size_t inputs_max = 0;
  for (const GraphValue& value : graph_.values) {
    row_floats_max = std::max(row_floats_max, value.type.row.size());
  }
  for (const GraphNode& node : graph_.nodes) {
    inputs_max = std::max(inputs_max, node.inputs.size());
    rows_min_ = std::max(rows_min_, node.layer->RowsMin());
    by_chance_.push_back(node.layer->traits().by_chance);
  }
  forward_ = CutStep(graph_, PieceFloats(), by_chance_);
  penalty_of_.resize(graph_.parameters.size());
  size_t penalty = 0;
  for (size_t index = graph_.nodes.size(); index-- > 0;) {
    const GraphNode& node = graph_.nodes[index];
    for (size_t i = 0; i < node.layer->parameters().size(); ++i) {
      const size_t at = node.parameters_begin + i;
      if (Regularizes(graph_.parameters[at])) penalty_of_[at] = penalty++;
    }
  }
  rows_max_ = Shape::kSizeMax / row_floats_max;
  lent_parameters_.resize(graph_.parameters.size());
  lent_gradients_.resize(graph_.parameters.size());
  wanted_gradients_.resize(graph_.parameters.size());
  values_.resize(graph_.values.size());
  node_inputs_.resize(inputs_max);
  node_gradients_.resize(inputs_max);
}

std::string Network::ShortBatchWords(uint64_t rows) const {
  for (const GraphNode& node : graph_.nodes) {
    if (rows == 0 || rows >= node.layer->RowsMin()) continue;
    return "the layer \"" + node.name + "\" is trained with batches of at least " +
           std::to_string(node.layer->RowsMin()) +
           " rows, of which it takes the variance, and here is one of " + std::to_string(rows);
  }
  return "";
}

Initial Network::InitialOf(uint64_t seed, size_t parameter) const {
  SM_ASSERT(parameter < graph_.parameters.size());
  Initial initial = graph_.parameters[parameter].initial;
  if (initial.kind == Initial::Kind::kConstant) return initial;
  initial.seed = Mix(Mix(seed ^ kFirstWeights) + parameter);
  return initial;
}

Result<double> Network::Train(const Samples& samples,
                              std::span<const std::span<const float>> parameters,
                              std::span<const std::span<float>> gradients, ParameterFlow* flow) {
  SM_ASSERT(gradients.size() == graph_.parameters.size());
  SM_TRY(CheckInputs(samples));
  SM_TRY(CheckTargets(samples));
  if (samples.rows > 0 && samples.rows < rows_min_) {
    return Error{ErrorCode::kBadInput, ShortBatchWords(samples.rows)};
  }
  if (samples.rows == 0) {
    SM_TRY(SendZeros(gradients, flow));
    return 0.0;
  }
  const Samples lent = SM_TRY(Lend(samples, parameters, gradients));
  Result<double> loss = Step(lent, gradients, flow);
  if (!loss.ok()) Settle();
  return loss;
}

Result<double> Network::Step(const Samples& lent, std::span<const std::span<float>> gradients,
                             ParameterFlow* flow) {
  SM_TRY(Forward(lent, flow));
  const uint64_t rows = lent.rows;
  const uint32_t output = graph_.nodes.back().output;
  const Tensor losses = Take(layout_->losses(), {rows + regularized_});
  loss_->Compute(backend_, values_[output].floats, lent.targets,
                 Tensor(losses.floats().first(rows), {rows}), GradientOf(output, rows));
  SM_TRY(Backward(lent, flow));
  const std::span<float> host = host_losses_.At(0, losses.size());
  if (kept_parameters_) kept_parameters_->BeginToTell();
  const Event known = CopyOutMade(backend_, losses, host);
  if (transfer_) SM_TRY(AwaitGradients(gradients, flow));
  if (!backend_.Synchronize(known)) return Failed();
  if (kept_parameters_) kept_parameters_->TakeTold();
  return Sum(host.first(rows)) / static_cast<double>(rows) + Sum(host.subspan(rows));
}

Result<LossSums> Network::Evaluate(const Samples& samples,
                                   std::span<const std::span<const float>> parameters) {
  SM_TRY(CheckTargets(samples));
  const std::span<const float> output = SM_TRY(Outputs(samples, parameters));
  LossSums sums;
  if (samples.rows == 0) return sums;
  const Tensor losses = Take(layout_->losses(), {samples.rows});
  loss_->Compute(backend_, values_.back().floats, lent_targets_, losses, Tensor());
  const std::span<float> host = host_losses_.At(0, samples.rows);
  if (!backend_.Synchronize(CopyOutMade(backend_, losses, host))) return Failed();
  sums.loss = Sum(host);
  sums.outputs = output;
  const uint64_t size = output.size() / samples.rows;
  for (uint64_t row = 0; row < samples.rows; ++row) {
    if (loss_->IsCorrect(output.subspan(row * size, size), targets_, row)) ++sums.correct;
  }
  return sums;
}

Result<std::span<const float>> Network::Predict(
    const Samples& samples, std::span<const std::span<const float>> parameters) {
  targets_ = {};
  return Outputs(samples, parameters);
}

Result<std::span<const float>> Network::Outputs(
    const Samples& samples, std::span<const std::span<const float>> parameters) {
  SM_TRY(CheckInputs(samples));
  if (samples.rows == 0) return std::span<const float>();
  const uint64_t floats = samples.rows * output().size();
  if (!host_output_.Reserve(floats)) {
    return NoRoomFor({.what = "outputs", .floats = floats, .of_host = true, .of_batch = true},
                     samples.rows);
  }
  const Samples lent = SM_TRY(Lend(samples, parameters, {}));
  SM_TRY(Forward(lent, nullptr));
  const ConstTensor output = values_.back().floats;
  const std::span<float> host = host_output_.At(0, output.size());
  if (!backend_.Synchronize(CopyOutMade(backend_, output, host))) return Failed();
  return std::span<const float>(host);
}

void Network::Settle() {
  for (const Stream stream : {Stream::kCopyIn, Stream::kCompute, Stream::kCopyOut}) {
    static_cast<void>(backend_.Synchronize(backend_.Record(stream)));
  }
}

// Fewer rows do not help then, as they may where there is no room; another process may.
Error Network::Failed() const {
  return {ErrorCode::kUnavailable,
          std::string("the device \"") + backend_.name() + "\" has failed: " + backend_.failure()};
}

Result<> Network::CheckInputs(const Samples& samples) const {
  SM_ASSERT(samples.inputs.size() == graph_.inputs);
  for (size_t index = 0; index < graph_.inputs; ++index) {
    const GraphValue& value = graph_.values[index];
    const Input& input = samples.inputs[index];
    SM_TRY(CheckSize(value, input, samples.rows));
    if (value.type.kind == ValueKind::kFloats) continue;
    for (const uint32_t id : input.ids) {
      if (id < value.index_limit) continue;
      return Error{ErrorCode::kBadInput, "the input \"" + value.name + "\" holds the id " +
                                             std::to_string(id) +
                                             ", but the layer that reads it has " +
                                             std::to_string(value.index_limit) + " rows"};
    }
  }
  return {};
}

Result<> Network::CheckSize(const GraphValue& value, const Input& input, uint64_t rows) const {
  const auto bad = [rows](const std::string& words) {
    return Error{ErrorCode::kBadInput,
                 "a batch of " + std::to_string(rows) + " labels comes with " + words};
  };
  if (value.type.kind == ValueKind::kSparse) {
    const uint64_t end = input.ends.empty() ? 0 : input.ends.back();
    const bool fits = input.ends.size() == rows && std::ranges::is_sorted(input.ends) &&
                      end == input.ids.size() && end == input.floats.size();
    if (fits && rows <= rows_max_) return {};
    return bad(std::to_string(input.ends.size()) + " sparse rows of " +
               std::to_string(input.ids.size()) + " ids and " +
               std::to_string(input.floats.size()) + " numbers, which do not fit each other");
  }
  const bool ids = value.type.kind == ValueKind::kIndices;
  const uint64_t size = ids ? input.ids.size() : input.floats.size();
  if (rows <= rows_max_ && size == rows * value.type.row.size()) return {};
  const std::string what = ids ? " ids" : " numbers";
  return bad(std::to_string(size) + what + ", but the network reads " +
             std::to_string(value.type.row.size()) + what + " a row (" + value.type.row.ToString() +
             ")");
}

Result<> Network::CheckTargets(const Samples& samples) {
  targets_ = samples.targets;
  if (!loss_->ReadsLabels() && targets_.values.empty()) {
    label_values_.assign(targets_.labels.begin(), targets_.labels.end());
    targets_.values = label_values_;
  }
  const bool labels = loss_->ReadsLabels();
  const uint64_t size = labels ? targets_.labels.size() : targets_.values.size();
  const uint64_t want = samples.rows * (labels ? 1 : output().size());
  if (size != want) {
    return Error{ErrorCode::kBadInput, "a batch of " + std::to_string(samples.rows) +
                                           " rows comes with " + std::to_string(size) +
                                           " targets, but the loss reads " + std::to_string(want)};
  }
  return loss_->Check(targets_);
}

}  // namespace shardmill::nn
