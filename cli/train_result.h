#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/job/job.h"
#include "common/json/json.h"
#include "common/status/job_status.h"

namespace shardmill {

// What came of a job, from the last that its coordinator said.
struct TrainResult {
  std::string policy;
  uint64_t shards = 0;
  uint64_t workers = 0;
  uint64_t steps = 0;  // Finished by the slowest worker; where data is leased, by the fastest.
  std::string stopped_by = {};  // The rule of train.stop that ended it; empty: none did.
  uint64_t stopped_after = 0;   // The step of the measure that it went by.
  double seconds = 0;           // Of training alone: the longest of the workers'.
  double samples = 0;           // Of all workers.
  uint64_t staleness_max = 0;
  uint64_t pushes = 0;  // Units that the shards took.
  uint64_t lost = 0;
  uint64_t duplicated = 0;
  bool leased = false;                     // Its data; then:
  uint64_t samples_lost = 0;               // Used by no step,
  uint64_t samples_repeated = 0;           // or by more than one.
  uint64_t discarded = 0;                  // Steps whose round was closed without them.
  uint64_t skipped = 0;                    // Steps left out for a gradient that is no number.
  uint64_t bad_rows = 0;                   // Of the data, left out,
  std::vector<std::string> left_out = {};  // and the first of them by their places.
  std::vector<JsonValue> computed = {};    // What each worker's device did, as it says itself.
  uint64_t generation = 0;
  uint64_t rollbacks = 0;     // How often the job has gone back to a snapshot.
  uint64_t promotions = 0;    // How often a replica has taken its primary's place.
  std::string unsaved = {};   // Why the job's last snapshot is lost; empty where it is not.
  bool reproducible = false;  // See JobOptions::Reproducible.
  std::string measured_on;    // The part of the data: "test", or else "validate" or "train".
  // Of that part; behind "validate_" of the rows to validate with.
  std::vector<std::pair<std::string, double>> metrics;

  // Why the model is no good, in words; empty where nothing says so.
  std::string Problem() const;
  double SamplesPerSecond() const { return seconds > 0 ? samples / seconds : 0; }
};

// "test", or else "validate" or "train": whose rows a model is measured with at the end.
std::string MeasuredPart(const DataOptions& data);

// Takes up what a worker has found; what the result knows already stays.
void TakeFigures(const std::vector<std::pair<std::string, double>>& figures,
                 const TrainOptions& train, TrainResult& result);

TrainResult ResultOf(const JobOptions& job, const JobStatus& status);

std::string ToJson(const TrainResult& result);

// A table for people, by parts of the data, and below it how it was trained.
std::string DescribeResult(const TrainResult& result);

// A line about a job that had no steps left to make; else empty.
std::string NothingLeftWords(const JobOptions& job, const TrainResult& result);

// Of the rows to validate with a metric has this before its name, where others are tested with.
inline constexpr std::string_view kOfValidation = "validate_";

// Whether it says how good a model is, and not only which it is.
bool IsOfModel(std::string_view metric);

// A metric as people read it: 0.8312.
std::string FormatMetric(double value);

// A count as people read it: 1,407.
std::string FormatCount(double value);

}  // namespace shardmill
