#include "cli/train_result.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

#include "common/json/json.h"

namespace shardmill {

std::string FormatMetric(double value) {
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

TrainResult ResultOf(const JobOptions& job, const JobStatus& status) {
  TrainResult result;
  result.policy = NameOf(job.policy.mode);
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
    for (const auto& metric : worker.metrics) {
      if (metric.first == "bad_rows") {
        result.bad_rows = std::max(result.bad_rows, static_cast<uint64_t>(metric.second));
        continue;
      }
      const bool known = std::any_of(result.metrics.begin(), result.metrics.end(),
                                     [&](const auto& one) { return one.first == metric.first; });
      if (!known) result.metrics.push_back(metric);
    }
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
  json.Key("seconds").Number(result.seconds);
  json.Key("samples_per_second").Number(result.SamplesPerSecond());
  json.Key("metrics").BeginObject();
  for (const auto& [name, value] : result.metrics) json.Key(name).Number(value);
  json.EndObject();
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
  json.Key("generation").Whole(result.generation);
  json.Key("rollbacks").Whole(result.rollbacks);
  json.Key("promotions").Whole(result.promotions);
  if (!result.unsaved.empty()) json.Key("unsaved").Text(result.unsaved);
  json.Key("reproducible").Flag(result.reproducible);
  return json.EndObject().Take();
}

std::string DescribeResult(const TrainResult& result) {
  std::array<char, 40> seconds{};
  std::snprintf(seconds.data(), seconds.size(), "%.1f s", result.seconds);
  std::string line;
  for (const auto& [name, value] : result.metrics) {
    line += name + " " + FormatMetric(value) + ", ";
  }
  line += result.shards == 0 ? result.policy + ", in one process, "
                             : result.policy + " on " + std::to_string(result.shards) +
                                   " shards with " + std::to_string(result.workers) + " workers, ";
  line += FormatCount(static_cast<double>(result.steps)) + " steps in " + seconds.data() + ", " +
          FormatCount(result.SamplesPerSecond()) + " samples/s, ";
  line += "staleness at most " + std::to_string(result.staleness_max) + ", lost " +
          std::to_string(result.lost) + ", duplicated " + std::to_string(result.duplicated);
  if (result.leased) {
    line += "; samples lost " + std::to_string(result.samples_lost) + ", repeated " +
            std::to_string(result.samples_repeated);
  }
  if (result.discarded > 0) line += ", discarded " + std::to_string(result.discarded);
  if (result.skipped > 0) line += ", skipped " + std::to_string(result.skipped);
  if (result.bad_rows > 0) line += ", bad rows " + std::to_string(result.bad_rows);
  if (result.rollbacks > 0) {
    line += ", rolled back " + std::to_string(result.rollbacks) + " times to generation " +
            std::to_string(result.generation);
  }
  if (result.promotions > 0) {
    line += ", replicas promoted " + std::to_string(result.promotions) + " times";
  }
  if (!result.unsaved.empty()) line += "; " + result.unsaved;
  return line;
}

}  // namespace shardmill
