#include "cli/train_result.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <string_view>

#include "cli/table.h"
#include "common/json/json.h"
#include "worker/examiner.h"

namespace shardmill {

std::string FormatMetric(double value) {
  if (std::isnan(value)) return "nan";  // Whatever its sign.
  std::array<char, 40> text{};
  const bool whole = value == std::floor(value) && std::abs(value) < 1e15;
  const int size = std::snprintf(text.data(), text.size(), whole ? "%.0f" : "%.4g", value);
  return {text.data(), static_cast<size_t>(size)};
}

std::string FormatCount(double value) {
  std::array<char, 400> digits{};
  const int size = std::snprintf(digits.data(), digits.size(), "%.0f", std::max(value, 0.0));
  std::string text;
  for (int i = 0; i < size; ++i) {
    if (i > 0 && (size - i) % 3 == 0) text += ',';
    text += digits[static_cast<size_t>(i)];
  }
  return text;
}

std::string MeasuredPart(const DataOptions& data) {
  if (data.format == DataFormat::kIdx || !data.test.empty() || data.Share(2) > 0) return "test";
  return data.validates() ? "validate" : "train";
}

void TakeFigures(const std::vector<std::pair<std::string, double>>& figures,
                 const TrainOptions& train, TrainResult& result) {
  for (const auto& [name, value] : figures) {
    if (name == "bad_rows") {
      result.bad_rows = std::max(result.bad_rows, static_cast<uint64_t>(value));
    } else if (name == kStoppedAfter) {
      result.stopped_after = static_cast<uint64_t>(value);
    } else if (name == kStopRule) {
      const auto rule = static_cast<size_t>(value);
      if (rule > 0 && rule <= train.stop.size()) result.stopped_by = WordsOf(train.stop[rule - 1]);
    } else if (std::ranges::find(result.metrics, name, &std::pair<std::string, double>::first) ==
               result.metrics.end()) {
      result.metrics.emplace_back(name, value);
    }
  }
}

TrainResult ResultOf(const JobOptions& job, const JobStatus& status) {
  TrainResult result;
  result.policy = NameOf(job.policy.mode);
  result.measured_on = MeasuredPart(job.data);
  result.shards = status.shards.size();
  result.workers = status.workers.size();
  result.reproducible = job.Reproducible();
  result.lost = status.lost;
  result.duplicated = status.duplicated;
  result.leased = status.data > 0;
  result.samples_lost = status.samples_lost;
  result.samples_repeated = status.samples_repeated;
  result.generation = status.generation;
  result.rollbacks = status.rollbacks;
  result.promotions = status.promotions;
  if (status.snapshots && status.snapshots->final_lost) result.unsaved = status.words;
  bool first = true;
  for (const JobStatus::Worker& worker : status.workers) {
    const uint64_t steps = std::max(worker.acked, worker.step);
    // Where data is leased workers come and go, and each makes as many as it gets to.
    const bool leased = status.data > 0;
    result.steps = first    ? steps
                   : leased ? std::max(result.steps, steps)
                            : std::min(result.steps, steps);
    first = false;
    result.seconds = std::max(result.seconds, worker.seconds);
    result.samples += worker.samples;
    result.staleness_max = std::max(result.staleness_max, worker.staleness_max);
    // The lowest rank that knows a metric has measured it at the end; the others, if at all, on the
    // way.
    TakeFigures(worker.metrics, job.train, result);
  }
  for (const JobStatus::Shard& shard : status.shards) {
    result.pushes += shard.units;
    result.staleness_max = std::max(result.staleness_max, shard.staleness_max);
    // A step is discarded or skipped on each shard alike.
    result.discarded = std::max(result.discarded, shard.discarded);
    result.skipped = std::max(result.skipped, shard.skipped);
  }
  return result;
}

std::string ToJson(const TrainResult& result) {
  JsonWriter json;
  json.BeginObject();
  json.Key("policy").Text(result.policy);
  json.Key("shards").Whole(result.shards);
  json.Key("workers").Whole(result.workers);
  json.Key("steps").Whole(result.steps);
  if (!result.stopped_by.empty()) {
    json.Key("stopped_by").Text(result.stopped_by);
    json.Key("stopped_after_step").Whole(result.stopped_after);
  }
  json.Key("seconds").Number(result.seconds);
  json.Key("samples_per_second").Number(result.SamplesPerSecond());
  json.Key("metrics").BeginObject();
  for (const auto& [name, value] : result.metrics) json.Key(name).Number(value);
  json.EndObject();
  json.Key("measured_on").Text(result.measured_on);
  json.Key("staleness_max").Whole(result.staleness_max);
  json.Key("pushes").Whole(result.pushes);
  json.Key("lost").Whole(result.lost);
  json.Key("duplicated").Whole(result.duplicated);
  if (result.leased) {
    json.Key("samples_lost").Whole(result.samples_lost);
    json.Key("samples_repeated").Whole(result.samples_repeated);
  }
  json.Key("discarded").Whole(result.discarded);
  json.Key("skipped").Whole(result.skipped);
  json.Key("bad_rows").Whole(result.bad_rows);
  if (!result.left_out.empty()) {
    json.Key("left_out").BeginList();
    for (const std::string& row : result.left_out) json.Text(row);
    json.EndList();
  }
  if (!result.computed.empty()) {
    json.Key("computed").BeginList();
    for (const JsonValue& computed : result.computed) json.Value(computed);
    json.EndList();
  }
  json.Key("generation").Whole(result.generation);
  json.Key("rollbacks").Whole(result.rollbacks);
  json.Key("promotions").Whole(result.promotions);
  if (!result.unsaved.empty()) json.Key("unsaved").Text(result.unsaved);
  const std::string problem = result.Problem();
  if (!problem.empty()) json.Key("problem").Text(problem);
  json.Key("reproducible").Flag(result.reproducible);
  return json.EndObject().Take();
}

namespace {

// The metrics of a result: a row each, a column for each part of the data that some are of.
std::string TableOfMetrics(const TrainResult& result) {
  std::vector<TableRow> rows;
  const auto put = [&rows](const std::string& name, size_t part, const std::string& value) {
    auto row = std::ranges::find(rows, name, [](const TableRow& one) { return one.front(); });
    if (row == rows.end()) row = rows.insert(row, TableRow{name, "", "", ""});
    (*row)[part] = value;
  };
  const size_t measured = result.measured_on == "train"      ? 1
                          : result.measured_on == "validate" ? 2
                                                             : 3;
  for (const auto& [name, value] : result.metrics) {
    if (!IsOfModel(name)) continue;
    if (name == "train_loss") {
      if (measured != 1) put("loss", 1, FormatMetric(value) + " (last batch)");
    } else if (name.starts_with(kOfValidation)) {
      put(name.substr(kOfValidation.size()), 2, FormatMetric(value));
    } else {
      put(name, measured, FormatMetric(value));
    }
  }
  rows.insert(rows.begin(), {"rows to", "train", "validate", "test"});
  for (size_t part = 3; part > 0; --part) {
    const bool any = std::any_of(rows.begin() + 1, rows.end(),
                                 [part](const TableRow& row) { return !row[part].empty(); });
    if (any) continue;
    for (TableRow& row : rows) row.erase(row.begin() + static_cast<std::ptrdiff_t>(part));
  }
  return rows.size() == 1 ? "" : AlignTable(rows) + "\n";
}

// What a worker computed on, but where it was asked to take the processor, and in which ways it was
// slower than it could have been.
void AddComputed(const JsonValue& computed, std::vector<TableRow>& rows) {
  const auto add = [&rows](const TableRow& row) {
    if (std::ranges::find(rows, row) == rows.end()) rows.push_back(row);
  };
  const JsonValue* const on = computed.Find("on");
  if (on != nullptr && on->text != "the processor") add({"computed on", on->text});
  const JsonValue* const slower = computed.Find("slower");
  if (slower == nullptr) return;
  for (const JsonValue& words : slower->items) add({"slower", words.text});
}

}  // namespace

bool IsOfModel(std::string_view metric) {
  return metric != "weights_crc32" && metric != "best_step";
}

std::string TrainResult::Problem() const {
  std::string names;
  for (const auto& [name, value] : metrics) {
    // An area under the curve is none where all rows are of one class.
    if (std::isfinite(value) || name.ends_with("auc")) continue;
    names += (names.empty() ? "" : ", ") + name;
  }
  if (names.empty()) return "";
  return names +
         " came to no number: the training has gone astray; lower "
         "optimizer.learning_rate, or bound the gradient (optimizer.clip_norm)";
}

std::string NothingLeftWords(const JobOptions& job, const TrainResult& result) {
  if (result.samples > 0 || job.snapshot.resume.empty()) return "";
  return "nothing was left to train: the snapshot has all steps of the job; to go on, raise "
         "train.epochs or train.steps\n";
}

std::string DescribeResult(const TrainResult& result) {
  std::array<char, 40> seconds{};
  std::snprintf(seconds.data(), seconds.size(), "%.1f s", result.seconds);
  const auto count = [](uint64_t number) { return FormatCount(static_cast<double>(number)); };
  std::vector<TableRow> rows;
  const auto several = [](uint64_t number, const char* what) {
    return std::to_string(number) + " " + what + (number == 1 ? "" : "s");
  };
  rows.push_back({"policy", result.shards == 0
                                ? result.policy + ", in one process"
                                : result.policy + " on " + several(result.shards, "shard") +
                                      " with " + several(result.workers, "worker")});
  rows.push_back({"steps", count(result.steps) + " in " + seconds.data()});
  if (!result.stopped_by.empty()) {
    rows.push_back(
        {"stopped", "by " + result.stopped_by + " after step " + count(result.stopped_after)});
  }
  rows.push_back({"samples/s", FormatCount(result.SamplesPerSecond())});
  rows.push_back({"staleness", "at most " + std::to_string(result.staleness_max)});
  rows.push_back({"steps lost", count(result.lost) + ", duplicated " + count(result.duplicated)});
  if (result.leased) {
    rows.push_back({"samples lost",
                    count(result.samples_lost) + ", repeated " + count(result.samples_repeated)});
  }
  if (result.discarded > 0) rows.push_back({"discarded", count(result.discarded)});
  if (result.skipped > 0) rows.push_back({"skipped", count(result.skipped)});
  if (result.bad_rows > 0) rows.push_back({"bad rows", count(result.bad_rows)});
  for (const std::string& row : result.left_out) rows.push_back({"left out", row});
  if (!result.left_out.empty() && result.bad_rows > result.left_out.size()) {
    rows.push_back(
        {"left out", "and " + count(result.bad_rows - result.left_out.size()) + " more"});
  }
  if (result.rollbacks > 0) {
    rows.push_back({"rolled back", std::to_string(result.rollbacks) + " times to generation " +
                                       std::to_string(result.generation)});
  }
  if (result.promotions > 0) {
    rows.push_back({"promoted", std::to_string(result.promotions) + " times a replica"});
  }
  for (const auto& [name, value] : result.metrics) {
    if (!IsOfModel(name)) rows.push_back({name, FormatMetric(value)});
  }
  for (const JsonValue& computed : result.computed) AddComputed(computed, rows);
  if (!result.unsaved.empty()) rows.push_back({"snapshot", result.unsaved});
  return TableOfMetrics(result) + AlignTable(rows);
}

}  // namespace shardmill
