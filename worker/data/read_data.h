#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/job/job.h"
#include "common/result.h"
#include "worker/data/sample_store.h"

namespace shardmill {

// The parts of a job's data. A value. All have the same columns, bounds of ids and words. Their
// readers share them, as batches are made on other threads than evaluations.
struct DataParts {
  std::shared_ptr<const SampleStore> train;
  std::shared_ptr<const SampleStore> validate;  // None where the job names none.
  std::shared_ptr<const SampleStore> test;      // The same.

  // What is measured with at the end: the test's rows, where there are some.
  const std::shared_ptr<const SampleStore>& measured() const {
    return test ? test : validate ? validate : train;
  }

  uint64_t bad_rows = 0;              // Left out, of the files of all parts.
  std::vector<std::string> left_out;  // The first of them, each by its place.
  std::vector<std::string> notes;     // For the log: of these, and of the cache.
};

// Whether tables that are not trained with may lack the column of the label.
enum class LabelColumn : uint8_t { kNeeded, kOptional };

// What somebody wants of a job's data who does not train with them.
struct DataWish {
  LabelColumn label_column = LabelColumn::kNeeded;
  // Those that a model was trained with, where it says so: they tell what words mean and which
  // numbers there are, and the files to train with are not read for that.
  Columns columns = {};
  // With columns: the part that is read, "train", "validate" or "test"; empty: what is measured.
  std::string part = {};
};

// Reads the data of a job: its text, or the files of packed rows that were made of it before. Where
// the rows do not fit the job's memory, this process makes such files, or waits for another that
// does. A function of the options, the seed, the wish and the files. Errors name the file and the
// line; kStopped where `stopped` says so, which is asked now and then.
Result<DataParts> ReadData(const DataOptions& options, uint64_t seed,
                           const std::function<bool()>& stopped, const DataWish& wish = {});

// Whether the files of a job are there; what is in them is not looked at.
Result<> CheckDataFiles(const DataOptions& options);

}  // namespace shardmill
