#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "client/model.h"
#include "common/result.h"
#include "worker/measurer.h"
#include "worker/parameter_reader.h"
#include "worker/referee.h"

namespace shardmill {

// The figures that say why training ended before its time: after which step, and by which rule of
// train.stop, counted from 1.
inline constexpr std::string_view kStoppedAfter = "stopped_after_step";
inline constexpr std::string_view kStopRule = "stop_rule";

// What an examiner is made of. All must outlive it.
struct ExaminerParts {
  Model& model;
  const SampleStore& train;  // Whose keys a model's rows have.
  Measurer& validate;        // While training goes on,
  Measurer& test;            // and at its end; it may be the same.
  JobKeyList network = {};   // What a model's file says that it is of; see NetworkOf.
};

// Where in a job's life an examiner begins: which kept model is its own.
struct Origin {
  uint64_t job = 0;                 // See JobId; 0: there is none, and no kept model is its own.
  uint64_t steps = 0;               // That are made by then.
  std::vector<uint64_t> line = {};  // See JobLine: what they had kept by then counts.
};

// Looks at a model while it is trained, wherever its parameters lie: measures it, keeps the best or
// the last in a file, and says when training is to end. How good the best is stands in its file, so
// that whoever measures next knows. Owned by a trainer that measures, on its thread. Fails as the
// reader and the disk do.
class Examiner final {
 public:
  Examiner(const ExaminerParts& parts, const TrainOptions& options);

  void Begin(Origin origin) { origin_ = std::move(origin); }

  // When to look, after so many steps.
  bool Wants(uint64_t steps, uint64_t steps_per_epoch) const;

  // Whether training is to end.
  Result<bool> Look(uint64_t epochs, uint64_t steps, ParameterReader& reader);
  // The last look. With a best model its figures are those that count.
  Result<> Finish(uint64_t epochs, uint64_t steps, ParameterReader& reader);
  // The job went back to where so many steps were made. A model that is kept stays: it was as good
  // as it was.
  void ForgetAfter(uint64_t steps) {
    referee_.ForgetAfter(steps);
    looked_at_ = 0;
    if (stopped_after_ > steps) stopped_after_ = 0;
  }

  // As last measured.
  const Figures& figures() const { return figures_; }
  // Likewise, of the model in training with the rows to validate with; at the end also how it does
  // with those to test with, where they are others, behind "test_".
  const Figures& course() const { return course_; }
  // Why training ends before its time.
  std::string reason() const { return WordsOf(options_.stop[stop_rule_]); }

 private:
  bool keeps_best() const { return !options_.best.empty() && !options_.model.empty(); }
  // Takes up a model that another process has kept in this job, or in one before it.
  void TakeUp();
  Result<> Keep(uint64_t steps, ParameterReader& reader);
  // With the rows to test with, and where they are others, those to validate with.
  Result<> MeasureAll(ParameterReader& reader);
  // Of all parameters, those of sparse ones in the order of the keys that the training data has.
  Result<uint32_t> Checksum(ParameterReader& reader);

  ExaminerParts parts_;
  TrainOptions options_;
  Referee referee_;
  Figures figures_;
  Figures course_;
  uint64_t looked_at_ = 0;      // The step of the last look; 0: none.
  uint64_t stopped_after_ = 0;  // The step of the look that ends training; 0: none does.
  size_t stop_rule_ = 0;
  uint64_t kept_step_ = 0;
  Origin origin_;
};

}  // namespace shardmill
