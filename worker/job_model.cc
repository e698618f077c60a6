#include "worker/job_model.h"

#include <algorithm>
#include <cmath>
#include <iomanip>
#include <optional>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "nn/own_types.h"

namespace shardmill {
namespace {

std::string InputNames(const SampleStore& data) {
  std::string names;
  for (size_t i = 0; i + 1 < data.columns().size(); ++i) {
    names += (i == 0 ? "\"" : ", \"") + data.columns()[i].name + '"';
  }
  return names;
}

// The columns that the network reads, as its inputs.
Result<std::vector<size_t>> ColumnsOf(const ModelOptions& model, const SampleStore& data) {
  const size_t inputs = data.columns().size() - 1;
  std::vector<size_t> columns;
  for (size_t i = 0; i < inputs; ++i) {
    const auto reads = [&](const LayerOptions& layer) {
      return std::ranges::find(layer.inputs, data.columns()[i].name) != layer.inputs.end();
    };
    if (inputs == 1 || std::ranges::any_of(model.layers, reads)) columns.push_back(i);
  }
  if (inputs > 1 && !model.layers.empty() && model.layers[0].inputs.empty()) {
    return Error{ErrorCode::kBadUsage,
                 "the data have the inputs " + InputNames(data) +
                     ": say with \"inputs\" which of them the first layer reads"};
  }
  return columns;
}

Result<nn::InputSpec> InputOf(const Column& column) {
  nn::InputSpec input{column.name, {}};
  input.type.row = SM_TRY(nn::Shape::Make(column.row_shape));
  switch (column.kind) {
    case ColumnKind::kFloats:
      break;
    case ColumnKind::kIds:
    case ColumnKind::kKeys:
      input.type.kind = nn::ValueKind::kIndices;
      break;
    case ColumnKind::kSparse:
      input.type.kind = nn::ValueKind::kSparse;
      break;
  }
  return input;
}

Result<std::optional<TargetColumn>> TargetOf(const ModelOptions& model, const SampleStore& data) {
  if (model.target.empty()) return std::optional<TargetColumn>();
  for (size_t i = 0; i + 1 < data.columns().size(); ++i) {
    const Column& column = data.columns()[i];
    if (column.name != model.target || column.kind != ColumnKind::kFloats) continue;
    return std::optional<TargetColumn>({i, column.row_size()});
  }
  return Error{ErrorCode::kBadUsage, "\"model.target\" is \"" + model.target +
                                         "\", which is no input of numbers; the data have the "
                                         "inputs " +
                                         InputNames(data)};
}

Result<NetworkSettings> SettingsOf(const JobOptions& job, const SampleStore& data) {
  NetworkSettings settings;
  settings.update = job.optimizer.ToUpdate();
  // A round's sum has the statistics of every worker.
  const bool sums = job.policy.mode == PolicyMode::kSync &&
                    job.policy.aggregate == Aggregate::kSum &&
                    job.policy.exchange == Exchange::kGradients;
  settings.statistics = sums ? job.cluster.workers : 1;
  settings.columns = SM_TRY(ColumnsOf(job.model, data));
  settings.target = SM_TRY(TargetOf(job.model, data));
  for (size_t i = 0; i < job.model.layers.size(); ++i) {
    const LayerOptions& layer = job.model.layers[i];
    if (layer.optimizer.empty()) continue;
    const std::string name =
        layer.name.empty() ? layer.type + '_' + std::to_string(i + 1) : layer.name;
    settings.updates.emplace_back(name, job.optimizer.Under(layer.optimizer).ToUpdate());
  }
  return settings;
}

// Refuses data with ids beyond the rows that a layer has.
Result<> CheckIds(const NetworkModel& model, const SampleStore& data) {
  for (size_t i = 0; i < model.inputs().size(); ++i) {
    const uint64_t rows = model.inputs()[i].index_limit;
    const size_t index = model.column_of(i);
    if (index + 1 >= data.columns().size()) continue;  // One that no data have.
    const Column& column = data.columns()[index];
    if (column.ids_end <= rows) continue;
    const std::string at = column.greatest_at.empty() ? "" : " (" + column.greatest_at + ")";
    return Error{ErrorCode::kBadUsage, "the layer that reads the input \"" + column.name +
                                           "\" has " + std::to_string(rows) +
                                           " rows, and the ids of its data go up to " +
                                           std::to_string(column.ids_end - 1) + at +
                                           ": raise \"rows\" to " + std::to_string(column.ids_end)};
  }
  return {};
}

// What the loss compares classes with, in words about the data.
std::string LabelWords(const Column& label) {
  if (label.kind != ColumnKind::kIds || label.ids_end == 0 || label.greatest_at.empty()) return "";
  // One damaged label makes classes that nobody has heard of.
  return "; the greatest label is " + std::to_string(label.ids_end - 1) + " (" + label.greatest_at +
         ")";
}

Result<> CheckExchange(const JobOptions& job, std::span<const ParameterSpec> parameters) {
  const auto sparse = std::ranges::find_if(parameters, &ParameterSpec::sparse);
  if (job.policy.exchange == Exchange::kGradients || sparse == parameters.end()) return {};
  return Error{ErrorCode::kBadUsage,
               "\"policy.exchange\" is \"parameters\" and \"" + sparse->name +
                   "\" is a sparse table, of which no worker has all rows; give the layer \"rows\" "
                   "or exchange \"gradients\""};
}

nn::Recompute RecomputeOf(Recomputing recompute) {
  switch (recompute) {
    case Recomputing::kNever:
      return nn::Recompute::kNever;
    case Recomputing::kAuto:
      return nn::Recompute::kAuto;
    case Recomputing::kAlways:
      return nn::Recompute::kAlways;
  }
  return nn::Recompute::kAuto;
}

std::string InMib(uint64_t bytes) {
  std::ostringstream text;
  text << std::fixed << std::setprecision(1) << std::ldexp(static_cast<double>(bytes), -20);
  return text.str() + " MiB";
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
  spec.rate = layer.rate;
  spec.slope = layer.slope;
  spec.epsilon = layer.epsilon;
  spec.initial = layer.initial;
  spec.no_bias = !layer.bias;
  spec.momentum = layer.momentum;
  spec.frozen = layer.frozen;
  spec.learning_rate = layer.learning_rate;
  spec.rows = layer.rows;
  return spec;
}

Result<> CheckBatches(const JobOptions& job, const NetworkModel& model, uint64_t rows) {
  const uint64_t each = job.data.batch_size;
  // Leases are cut into batches one by one.
  const uint64_t chunk = job.data.scheme == DataScheme::kLeased ? job.data.chunk : 0;
  for (const uint64_t of : {std::min(rows, each), rows % each, chunk % each}) {
    const std::string words = model.ShortBatchWords(of);
    if (words.empty()) continue;
    return Error{ErrorCode::kBadUsage, words + ": " + std::to_string(rows) +
                                           " rows of an epoch are cut into batches of " +
                                           std::to_string(each) +
                                           "; choose another data.batch_size"};
  }
  return {};
}

Result<std::string> MakeRoomForSteps(const JobOptions& job, NetworkModel& model, uint64_t rows) {
  SM_TRY(model.MakeRoom(std::min<uint64_t>(rows, job.data.batch_size)));
  const nn::StepMemory& memory = model.memory();
  if (memory.again.empty()) return std::string();
  std::string names;
  for (const std::string& name : memory.again) names += (names.empty() ? "" : ", ") + name;
  const auto percent = static_cast<uint64_t>(std::lround(100 * memory.share_again));
  return "a step takes " + InMib(memory.bytes) + " instead of " + InMib(memory.bytes_if_kept) +
         " and computes " + std::to_string(memory.again.size()) + " layers again, " +
         std::to_string(percent) + " % of the products of the way forward: " + names;
}

Result<std::unique_ptr<NetworkModel>> MakeJobModel(const JobOptions& job, const SampleStore& data,
                                                   uint32_t rank) {
  const NetworkSettings settings = SM_TRY(SettingsOf(job, data));
  nn::NetworkSpec spec;
  spec.loss = job.model.loss;
  spec.l1 = job.model.l1;
  spec.l2 = job.model.l2;
  spec.half_gradients = job.compute.gradients == GradientWidth::kBf16;
  spec.recompute = RecomputeOf(job.compute.recompute);
  if (job.compute.memory > 0) spec.memory_max = job.compute.memory;
  if (!job.model.library.empty()) spec.own = SM_TRY(OpenJobLibrary(job.model.library));
  for (const size_t column : settings.columns) {
    spec.inputs.push_back(SM_TRY(InputOf(data.columns()[column])));
  }
  for (const LayerOptions& layer : job.model.layers) spec.layers.push_back(LayerSpecOf(layer));
  const Column& label = data.target();
  const bool classes = label.kind == ColumnKind::kIds;
  Device device = SM_TRY(OpenDevice({.compute = job.compute,
                                     .rank = rank,
                                     .own_types = spec.own != nullptr,
                                     .library = CardLibrary()}));
  Result<std::unique_ptr<NetworkModel>> model =
      NetworkModel::Make(spec, classes ? static_cast<uint32_t>(label.ids_end) : 0, job.job.seed,
                         settings, std::move(device));
  if (model.ok()) {
    SM_TRY(CheckExchange(job, model.value()->Parameters()));
    SM_TRY(CheckIds(*model.value(), data));
  }
  if (model.ok() || model.error().code != ErrorCode::kBadUsage) return model;
  return Error{model.error().code, model.error().message + "; the data have the inputs " +
                                       InputNames(data) + LabelWords(label)};
}

}  // namespace shardmill
