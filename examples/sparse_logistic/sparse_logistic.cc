// Sparse logistic regression on the client API: a weight for each feature that any row names, in a
// sparse table that FTRL keeps small. `examples/sparse_logistic/run` starts a whole job:
//
//   sparse_logistic --make FILE ROWS SEED
//   sparse_logistic HOST:PORT RANK WORKERS FILE [ACCURACY_MIN]
//
// The first makes a data set; the second is one of the job's workers. A row is a line of text,
// `LABEL INDEX:VALUE...`: the label is +1 (or 1) or -1 (or 0), and the indices grow from 1. Every
// process reads the whole file and takes its own share of the batches. At the end, rank 0 tells
// how well the weights explain the file, and fails if that is less than ACCURACY_MIN.

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "client/session.h"
#include "common/rng.h"

namespace {

using shardmill::Error;
using shardmill::ErrorCode;
using shardmill::KeySet;
using shardmill::Result;
using shardmill::Rng;
using shardmill::Session;
using shardmill::Ticket;
using shardmill::TrainingStep;

constexpr uint64_t kEpochs = 4;
constexpr uint64_t kBatch = 100;  // Rows.
constexpr std::chrono::seconds kStepLimit{30};

// Stands in every row with the value 1. Features are counted from 1, so its key is free.
constexpr uint64_t kBiasKey = 0;

// A file's rows, one after another: row r is the keys and values [begins[r], begins[r + 1]).
struct DataSet {
  std::vector<uint64_t> keys;
  std::vector<float> values;
  std::vector<uint64_t> begins = {0};
  std::vector<float> labels;  // 1 or 0.

  uint64_t rows() const { return labels.size(); }
  uint64_t batches() const { return (rows() + kBatch - 1) / kBatch; }
};

// A part of them: the rows [first, last).
struct Batch {
  const DataSet* data;
  uint64_t first;
  uint64_t last;

  uint64_t rows() const { return last - first; }
  std::span<const uint64_t> keys() const {
    return std::span(data->keys).subspan(begin(first), begin(last) - begin(first));
  }
  uint64_t begin(uint64_t row) const { return data->begins[row]; }
};

Batch BatchAt(const DataSet& data, uint64_t index) {
  return {&data, index * kBatch, std::min((index + 1) * kBatch, data.rows())};
}

// A number that is all of the text.
template <class T>
std::optional<T> Number(std::string_view text) {
  T number{};
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc() || stop != end) return std::nullopt;
  return number;
}

// Takes the next word off the line; nothing at its end.
std::string_view TakeWord(std::string_view& line) {
  line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
  const std::string_view word = line.substr(0, line.find(' '));
  line.remove_prefix(word.size());
  return word;
}

// Adds the line's row. Words where it is none; then the rest of `data` is of no use.
std::string AddRow(std::string_view line, DataSet& data) {
  const std::string_view label = TakeWord(line);
  const bool positive = label == "+1" || label == "1";
  if (!positive && label != "-1" && label != "0") {
    return "\"" + std::string(label) + "\" is no label: +1, 1, -1 or 0";
  }
  uint64_t last = kBiasKey;
  data.keys.push_back(kBiasKey);
  data.values.push_back(1);
  for (auto word = TakeWord(line); !word.empty(); word = TakeWord(line)) {
    const size_t colon = std::min(word.find(':'), word.size());
    const auto index = Number<uint64_t>(word.substr(0, colon));
    const auto value = Number<float>(word.substr(std::min(colon + 1, word.size())));
    if (!index || !value || !std::isfinite(*value)) {
      return "\"" + std::string(word) + "\" is no INDEX:VALUE";
    }
    if (*index <= last) {
      return "the index " + std::to_string(*index) +
             (last == kBiasKey ? ": they start from 1" : " does not grow");
    }
    last = *index;
    data.keys.push_back(*index);
    data.values.push_back(*value);
  }
  data.labels.push_back(positive ? 1 : 0);
  data.begins.push_back(data.keys.size());
  return "";
}

Result<DataSet> Read(const std::string& path) {
  std::ifstream file(path);
  DataSet data;
  for (std::string line; std::getline(file, line);) {
    const std::string problem = AddRow(line, data);
    if (problem.empty()) continue;
    const std::string place = path + ":" + std::to_string(data.rows() + 1);
    return Error{ErrorCode::kBadInput, place + ": " + problem};
  }
  if (!file.eof()) return Error{ErrorCode::kUnavailable, path + ": cannot be read"};
  if (data.rows() == 0) return Error{ErrorCode::kBadInput, path + ": has no rows"};
  return data;
}

// The same file for the same seed. Of kFeatures features kTelling have a weight, and the sign of a
// row's weighted sum is its label, but for so many labels that are turned around. A row names some
// features that tell and more that do not.
Result<> Make(const std::string& path, uint64_t rows, uint64_t seed) {
  constexpr uint64_t kFeatures = 100'000;
  constexpr uint64_t kTelling = 500;
  constexpr uint64_t kTellingOfRow = 10;
  constexpr uint64_t kOfRow = 30;
  constexpr double kTurned = 0.05;
  constexpr uint64_t kApart = kFeatures / kTelling;  // Each so many-th feature tells.
  Rng chance(seed);
  std::vector<double> hidden(kTelling);
  for (double& weight : hidden) weight = (chance.Chance(0.5) ? 1 : -1) * (0.5 + chance.Uniform());

  std::ofstream file(path);
  char text[64];
  for (uint64_t row = 0; row < rows; ++row) {
    std::set<uint64_t> features;
    while (features.size() < kTellingOfRow) features.insert((1 + chance.Below(kTelling)) * kApart);
    while (features.size() < kOfRow) features.insert(1 + chance.Below(kFeatures));
    std::string line;
    double sum = 0;
    for (const uint64_t feature : features) {
      const double value = 0.5 + chance.Uniform();
      if (feature % kApart == 0) sum += value * hidden[feature / kApart - 1];
      std::snprintf(text, sizeof(text), " %llu:%.3f", static_cast<unsigned long long>(feature),
                    value);
      line += text;
    }
    file << ((sum > 0) != chance.Chance(kTurned) ? "+1" : "-1") << line << '\n';
  }
  file.close();
  if (file.fail()) return Error{ErrorCode::kFailed, path + ": cannot be written"};
  return {};
}

// What the model makes of each of the batch's rows: how likely its label is 1.
std::vector<float> Likely(const Batch& batch, std::span<const float> weights) {
  std::vector<float> likely;
  const uint64_t begin = batch.begin(batch.first);
  for (uint64_t row = batch.first; row < batch.last; ++row) {
    float sum = 0;
    for (uint64_t i = batch.begin(row); i < batch.begin(row + 1); ++i) {
      sum += weights[i - begin] * batch.data->values[i];
    }
    likely.push_back(1 / (1 + std::exp(-sum)));
  }
  return likely;
}

// The gradient of the log loss, summed over the batch: FTRL's rate of a feature follows from what
// the rows that name it have said. One element for each key of the batch, however often it is in.
std::vector<float> Gradient(const Batch& batch, std::span<const float> weights) {
  std::vector<float> gradient;
  const std::vector<float> likely = Likely(batch, weights);
  for (uint64_t row = batch.first; row < batch.last; ++row) {
    const float error = likely[row - batch.first] - batch.data->labels[row];
    for (uint64_t i = batch.begin(row); i < batch.begin(row + 1); ++i) {
      gradient.push_back(error * batch.data->values[i]);
    }
  }
  return gradient;
}

// One step: the weights that the batch needs, and what it has to say about them.
Result<> TrainBatch(Session& session, shardmill::SparseTable table, const Batch& batch) {
  TrainingStep step = SM_TRY(session.Begin(kStepLimit));
  const KeySet keys = SM_TRY(session.Bind(table, batch.keys()));
  std::vector<float> weights(keys.count);
  const Ticket pull = SM_TRY(step.Pull(keys, weights));
  SM_TRY(step.Wait(pull));
  SM_TRY(step.Push(keys, Gradient(batch, weights)));
  SM_TRY(step.Finish(static_cast<double>(batch.rows())));
  session.Unbind(keys);
  return {};
}

struct Fit {
  double accuracy = 0;
  double loss = 0;        // The mean log loss.
  uint64_t features = 0;  // That the file names.
  uint64_t weights = 0;   // Of them, those whose weight is not zero.
};

// How well the weights of the end of the training explain the file.
Result<Fit> Evaluate(Session& session, shardmill::SparseTable table, const DataSet& data,
                     uint64_t steps) {
  constexpr float kLikelyMin = 1e-7F;  // Bounds the loss of one row.
  Fit fit;
  std::set<uint64_t> features;
  TrainingStep step = SM_TRY(session.Begin(kStepLimit));
  for (uint64_t index = 0; index < data.batches(); ++index) {
    const Batch batch = BatchAt(data, index);
    const KeySet keys = SM_TRY(session.Bind(table, batch.keys()));
    std::vector<float> weights(keys.count);
    const Ticket pull = SM_TRY(step.Pull(keys, weights, {.closed_min = steps}));
    SM_TRY(step.Wait(pull));
    session.Unbind(keys);
    const std::vector<float> likely = Likely(batch, weights);
    for (uint64_t i = 0; i < batch.rows(); ++i) {
      const bool positive = data.labels[batch.first + i] > 0;
      const float right = positive ? likely[i] : 1 - likely[i];
      fit.accuracy += right > 0.5F ? 1 : 0;
      fit.loss -= std::log(std::max(right, kLikelyMin));
    }
    for (uint64_t i = 0; i < keys.count; ++i) {
      if (features.insert(batch.keys()[i]).second && weights[i] != 0) ++fit.weights;
    }
  }
  fit.accuracy /= static_cast<double>(data.rows());
  fit.loss /= static_cast<double>(data.rows());
  fit.features = features.size();
  return fit;
}

Result<> Train(const std::string& coordinator, uint32_t rank, uint32_t workers,
               const std::string& path, double accuracy_min) {
  const DataSet data = SM_TRY(Read(path));
  shardmill::SessionOptions options;
  options.coordinator = coordinator;
  options.rank = rank;
  const auto session = SM_TRY(Session::Open(options));
  shardmill::TableOptions table_options;
  table_options.update.emplace();
  table_options.update->rule = shardmill::UpdateRule::kFtrl;
  table_options.update->rate.base = 0.3;
  table_options.update->l1 = 12;
  const auto table = SM_TRY(session->Sparse("weights", 1, table_options));

  // The batch follows from the step's number, so that a process that takes over this rank goes on
  // where the last one was.
  const uint64_t steps = (kEpochs * data.batches() + workers - 1) / workers;
  while (session->next_step() <= steps) {
    const uint64_t turn = (session->next_step() - 1) * workers + rank;
    SM_TRY(TrainBatch(*session, table, BatchAt(data, turn % data.batches())));
  }

  Fit fit{.accuracy = 1};
  if (rank == 0) {
    fit = SM_TRY(Evaluate(*session, table, data, steps));
    std::printf("accuracy %.4f, log loss %.4f, %llu of %llu weights are not zero, %llu steps\n",
                fit.accuracy, fit.loss, static_cast<unsigned long long>(fit.weights),
                static_cast<unsigned long long>(fit.features),
                static_cast<unsigned long long>(steps));
  }
  SM_TRY(session->Close(true));
  if (fit.accuracy >= accuracy_min) return {};
  return Error{ErrorCode::kFailed, "the accuracy is too low"};
}

Result<> Run(const std::vector<std::string>& arguments) {
  const size_t count = arguments.size();
  if (count == 4 && arguments[0] == "--make") {
    const auto rows = Number<uint64_t>(arguments[2]);
    const auto seed = Number<uint64_t>(arguments[3]);
    if (rows && seed) return Make(arguments[1], *rows, *seed);
  } else if (count == 4 || count == 5) {
    const auto rank = Number<uint32_t>(arguments[1]);
    const auto workers = Number<uint32_t>(arguments[2]);
    const auto accuracy_min = count == 5 ? Number<double>(arguments[4]) : 0.0;
    if (rank && workers && *rank < *workers && accuracy_min) {
      return Train(arguments[0], *rank, *workers, arguments[3], *accuracy_min);
    }
  }
  return Error{ErrorCode::kBadUsage,
               "usage: sparse_logistic HOST:PORT RANK WORKERS FILE [ACCURACY_MIN], or "
               "sparse_logistic --make FILE ROWS SEED"};
}

}  // namespace

int main(int argc, char** argv) {
  const Result<> done = Run({argv + 1, argv + argc});
  if (done.ok()) return 0;
  std::fprintf(stderr, "sparse_logistic: %s\n", done.error().message.c_str());
  if (done.error().code == ErrorCode::kBadUsage) return 2;
  // Exit code 3 tells whoever restarts processes that another one holds this rank.
  return done.error().code == ErrorCode::kFenced ? 3 : 1;
}
