#include "worker/given_weights.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "common/config/text.h"
#include "common/job/network_keys.h"
#include "worker/meaning.h"

namespace shardmill {
namespace {

constexpr const char* kLeaveOut = "; name in train.weights_of the layers to take, without it";

std::string LayerOf(const std::string& parameter) {
  return parameter.substr(0, parameter.find_last_of('.'));
}

std::string Listed(const std::vector<std::string>& names) {
  std::string list;
  for (const std::string& name : names) list += (list.empty() ? "" : ", ") + name;
  return list;
}

Result<std::vector<bool>> ChosenOf(const std::vector<std::string>& names,
                                   std::span<const ParameterSpec> parameters) {
  std::vector<bool> chosen(parameters.size(), names.empty());
  std::vector<std::string> layers;
  for (const ParameterSpec& spec : parameters) {
    if (layers.empty() || layers.back() != LayerOf(spec.name)) layers.push_back(LayerOf(spec.name));
  }
  for (const std::string& name : names) {
    bool any = false;
    for (size_t i = 0; i < parameters.size(); ++i) {
      if (name != parameters[i].name && name != LayerOf(parameters[i].name)) continue;
      any = chosen[i] = true;
    }
    if (any) continue;
    const std::string nearest = config::Nearest(name, layers);
    return Error{ErrorCode::kBadUsage,
                 "train.weights_of: no layer with weights is called \"" + name + "\"; " +
                     (nearest.empty() ? "" : "did you mean \"" + nearest + "\"? ") + "there are " +
                     Listed(layers)};
  }
  return chosen;
}

// Where two lists are not the same, in words; else empty.
std::string Difference(const char* what, const std::vector<std::string>& there,
                       const std::vector<std::string>& here) {
  const auto at = std::ranges::mismatch(there, here);
  if (at.in1 == there.end() && at.in2 == here.end()) return "";
  const auto one = [](const std::vector<std::string>& list, auto place) {
    return place == list.end() ? "nothing" : config::QuoteForMessage(*place);
  };
  return std::string(what) + " " + std::to_string(at.in1 - there.begin()) + " is " +
         one(there, at.in1) + " there and " + one(here, at.in2) + " here";
}

// Whether the numbers of a parameter that reads this column meant the same there.
std::string MeaningProblem(const Column& column, const Columns& there) {
  const auto same = std::ranges::find(there, column.name, &Column::name);
  if (same != there.end()) {
    const std::string words = Difference("the word with id", same->words, column.words);
    return words.empty() ? Difference("column", same->fields, column.fields) : words;
  }
  if (column.words.empty() && column.fields.empty()) return "";
  return there.empty() ? "the file does not say which words and columns its weights are of"
                       : "no such input was there";
}

// The outputs of the last layer mean the classes.
std::string ClassProblem(const Column& target, const Columns& there) {
  return there.empty() ? "" : Difference("class", there.back().words, target.words);
}

std::string WordsOf(const std::string& path, const GivenWeights& weights,
                    std::span<const ParameterSpec> parameters) {
  std::vector<std::string> taken, anew, unused;
  for (size_t i = 0; i < parameters.size(); ++i) {
    (weights.given[i] ? taken : anew).push_back(parameters[i].name);
  }
  for (const std::string& name : weights.file->names()) {
    if (std::ranges::find(taken, name) == taken.end()) unused.push_back(name);
  }
  std::string words = "begins with weights of " + path + ": " + Listed(taken);
  if (!anew.empty()) words += "; anew: " + Listed(anew);
  if (!unused.empty()) words += "; not taken of it: " + Listed(unused);
  return words;
}

}  // namespace

Result<GivenWeights> OpenWeights(const JobOptions& job, const std::string& file,
                                 std::span<const ParameterSpec> parameters,
                                 const Columns& columns) {
  const auto refused = [&](const std::string& words) {
    return Error{ErrorCode::kBadUsage, words + kLeaveOut};
  };
  GivenWeights weights;
  weights.given = SM_TRY(ChosenOf(job.train.weights_of, parameters));
  const Result<TrainedWith> read = ReadTrainedWith(file);
  if (!read.ok() && read.error().code == ErrorCode::kBadInput) {
    return Error{ErrorCode::kBadUsage, "train.weights: " + read.error().message};
  }
  const TrainedWith with = SM_TRY(read);
  const std::optional<TableSpec> meaning = MeaningTable(columns);
  const bool same = meaning && with.meaning == meaning->initial.seed;
  const Columns& there = same ? columns : with.columns;
  for (size_t i = 0; i < parameters.size(); ++i) {
    if (!weights.given[i] || !parameters[i].reads) continue;
    const Column& column = columns[*parameters[i].reads];
    const std::string problem = MeaningProblem(column, there);
    if (problem.empty()) continue;
    return refused(file + ": \"" + parameters[i].name + "\" reads the input \"" + column.name +
                   "\", and " + problem);
  }
  const std::string classes = ClassProblem(columns.back(), there);
  if (!classes.empty() && weights.given.back()) {
    return refused(file + ": \"" + parameters.back().name + "\" tells classes, and " + classes);
  }
  std::string network = NetworkChanges(with.network, NetworkOf(job));
  if (!network.empty()) network = "; the network there is another: " + network;
  Result<std::unique_ptr<ModelFile>> opened = ModelFile::Open(file, parameters, weights.given);
  if (!opened.ok() && opened.error().code == ErrorCode::kBadInput) {
    return refused(opened.error().message + network);
  }
  weights.file = SM_TRY(std::move(opened));
  weights.words = WordsOf(file, weights, parameters) + network;
  return weights;
}

Result<DenseImage> GivenImages::Image(size_t parameter) {
  const std::span<const float> values = SM_TRY(weights_.file->Dense(parameter));
  return DenseImage{{.end = values.size()}, {Frame::CopyOf(values)}, {}};
}

std::vector<uint64_t> GivenImages::Keys(size_t parameter) const {
  const std::span<const uint64_t> keys = weights_.file->Keys(parameter);
  return {keys.begin(), keys.end()};
}

Result<RowBatch> GivenImages::RowImages(size_t parameter, std::span<const uint64_t> keys,
                                        uint64_t state) {
  const std::span<const float> rows = SM_TRY(weights_.file->Rows(parameter, keys));
  const std::vector<float> none(keys.size() * state);
  return RowBatch{Frame::CopyOf(keys), Frame::CopyOf(rows), Frame::CopyOf(std::span(none))};
}

}  // namespace shardmill
