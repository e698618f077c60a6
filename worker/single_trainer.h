#pragma once

#include <functional>
#include <optional>

#include "client/model.h"
#include "common/clock.h"
#include "common/ids.h"
#include "common/result.h"
#include "worker/data/batches.h"
#include "worker/examiner.h"
#include "worker/local_tables.h"
#include "worker/part_gradients.h"

namespace shardmill {

struct SingleOptions {
  TrainOptions train = {};
  Step done = 0;           // Steps that are made already.
  uint32_t part_rows = 0;  // Of the parts that a batch is trained in; 0: it is one.
  double clip_norm = 0;
  OnNonfinite on_nonfinite = OnNonfinite::kReject;
  std::function<bool()> stopped = {};  // Asked before each step.
};

// How a training without servers gets on.
struct SingleProgress {
  uint64_t step = 0;
  uint64_t last_step = 0;
  uint64_t epochs = 0;  // That are over.
  uint64_t samples = 0;
  uint64_t skipped = 0;        // Steps whose gradient was no number.
  double loss = 0;             // Of the last batch.
  double seconds = 0;          // Of training alone.
  bool measured = false;       // Just now.
  double gradient_length = 0;  // Of the last step.
};

// The training loop in one process, without servers: the steps of a synchronous job of one worker,
// bit for bit. Owned by the command, on one thread; all that it is given must outlive it.
class SingleTrainer final {
 public:
  SingleTrainer(const SingleOptions& options, Model& model, Batches& batches, LocalTables& tables,
                Examiner& examiner, const Clock& clock)
      : options_(options),
        model_(model),
        batches_(batches),
        tables_(tables),
        examiner_(examiner),
        clock_(clock),
        gradients_(model, options.part_rows) {}

  // `watch` is called every report_every steps, after each measure and at the end.
  Result<> Run(const std::function<void(const SingleProgress&)>& watch);
  const SingleProgress& progress() const { return progress_; }

 private:
  Result<> MakeStep(uint64_t step);
  void Tell(const std::function<void(const SingleProgress&)>& watch);

  const SingleOptions options_;
  Model& model_;
  Batches& batches_;
  LocalTables& tables_;
  Examiner& examiner_;
  const Clock& clock_;
  PartGradients gradients_;
  SingleProgress progress_;
};

}  // namespace shardmill
