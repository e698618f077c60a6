#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "client/model.h"
#include "client/session.h"
#include "common/clock.h"
#include "common/log/log.h"
#include "common/result.h"
#include "common/timeline/lane.h"
#include "common/update.h"
#include "common/view.h"
#include "worker/data/batches.h"
#include "worker/examiner.h"
#include "worker/local_steps.h"
#include "worker/part_gradients.h"
#include "worker/server_reader.h"
#include "worker/server_tables.h"
#include "worker/step_flow.h"
#include "worker/stop_signal.h"
#include "worker/track/tracker.h"

namespace shardmill {

struct TrainerOptions {
  uint32_t rank = 0;
  TrainOptions train = {};
  uint32_t part_rows = 0;  // Of the parts that a batch is trained in; 0: it is one.
  // How many steps after the one that says so training ends.
  uint64_t stop_after = 0;
  std::chrono::milliseconds step_timeout{300'000};
  std::chrono::milliseconds lease{5'000};
  double clip_norm = 0;        // Longest gradient that is pushed; 0: any.
  uint32_t average_every = 0;  // Batches of a step that exchanges parameters; 0: an epoch's.
  OnNonfinite on_nonfinite = OnNonfinite::kReject;  // Before steps of this worker's own.
  // Asked before each batch; true ends the training with kStopped.
  std::function<bool()> stopped = {};
  TimelineLane* timeline = nullptr;  // Of the trainer's thread, or none.
  // Told with each report how it gets on, if anybody wants to know. The rate of the optimizer is
  // what a worker sees that is there from the job's beginning.
  std::function<void(const TrackPoint&)> track = {};
  RateSchedule rate = {};
  uint32_t workers = 1;
  uint64_t bad_rows = 0;  // Of the data set, left out.
  // Layers start when their parameters are there, and gradients leave when they are final; else
  // all are waited for before a batch, and all leave after it.
  bool overlap = true;
  uint64_t lent_bytes_max = 0;  // By a server; see ServerTables.
};

// What a worker has done in its life; for metrics.
struct TrainerProgress {
  uint64_t steps = 0;
  uint64_t samples = 0;
  uint64_t discarded = 0;  // Steps whose round was closed without them.
  uint64_t skipped = 0;    // Steps whose gradient was no number.
  uint64_t rollbacks = 0;  // How often the job has gone back to a snapshot.
  uint64_t nonfinite = 0;  // Batches between two averages whose gradient was no number.
  double loss = 0;         // Of the last batch.
  double wait_seconds = 0;
  double compute_seconds = 0;
};

// What a trainer is made of. All must outlive it.
struct TrainerParts {
  Session& session;
  Model& model;
  Batches& batches;
  LocalSteps* local = nullptr;  // Of workers that exchange parameters: steps of their own.
  Examiner& examiner;           // Of the worker that measures.
};

// The training loop: batch, pull, gradient, push, finish; or, with steps of its own, pull, some
// batches and steps, push of the parameters, finish. It goes on from the step that the session
// names, so that a process that takes over a rank makes the very steps that are missing. The worker
// of rank 0, or of the lowest rank there is where data is leased, also measures the model on the
// test set, after each epoch and at the end, when every worker's pushes are in. Owned by main, on
// one thread; all that it is given must outlive it.
class Trainer final {
 public:
  Trainer(const TrainerOptions& options, const TrainerParts& parts, const Clock& clock,
          const Log& log);

  // Until the last step is made and measured. `watch` is called after each step. Goes on where the
  // job has gone back; so does another call, after the session's Close has said that it did.
  Result<> Run(const std::function<void(const TrainerProgress&)>& watch);

  // What the last measure found, by name, of the worker that measures.
  const Figures& metrics() const { return examiner_.figures(); }

 private:
  // Whether gradients can leave before all of them are known.
  bool SendsEarly() const {
    return options_.overlap && local_ == nullptr && options_.clip_norm == 0;
  }

  // Steps of the session in an epoch.
  uint64_t StepsPerEpoch() const;
  Result<> TrainToEnd(const std::function<void(const TrainerProgress&)>& watch);
  // False where training has ended before this step.
  Result<bool> MakeStep(uint64_t step);
  // Trains on the batches of the step, of which this is the first. The rows of those that count.
  Result<uint64_t> Compute(TrainingStep& step, uint64_t number, std::optional<Batch> batch,
                           StepFlow& flow);
  // The batch of that index in the step; none where it has no more.
  std::optional<Batch> NextBatch(TrainingStep& step, uint64_t number, uint64_t index);
  Result<> TrainLeased(const std::function<void(const TrainerProgress&)>& watch);
  Result<> MakeEmptyStep();
  bool Measures() const { return batches_.leased() ? session_.is_first() : options_.rank == 0; }
  // Whether this worker may step by itself with the gradients that it has.
  Result<bool> MayStep(uint64_t step);
  // Asks for what the next step reads, unless something is measured before.
  Result<> AskAhead(TrainingStep& step, uint64_t number);
  // Whether the model is measured once so many steps are made.
  bool LooksAfter(uint64_t steps) const;
  // Measures the model as the servers have it once `closed_min` rounds are closed.
  Result<> Look(uint64_t steps, uint64_t closed_min, bool last);
  // The last step that anybody makes, as far as it is known.
  uint64_t LastStep() const;
  void Report();
  void Track();
  // Says once that the coordinator is away, and once that it is back.
  void WatchCoordinator();
  uint64_t EpochOf(uint64_t step) const {
    return batches_.leased() ? epoch_ : (step - 1) / StepsPerEpoch();
  }

  TrainerOptions options_;
  Session& session_;
  Model& model_;
  Batches& batches_;
  LocalSteps* local_;
  Examiner& examiner_;
  const Clock& clock_;
  const Log& log_;
  ServerTables tables_;
  StopSignal stop_;
  PartGradients part_gradients_;
  uint64_t last_step_ = 0;  // As this worker has decided; 0: it has not.
  TrainerProgress progress_;
  uint64_t epoch_ = 0;  // Of the last batch, where data is leased.
  bool coordinator_away_ = false;
  double seconds_ = 0;        // Of training alone.
  uint64_t local_steps_ = 0;  // Counts the batches of all, for steps of this worker's own.
  bool measured_ = false;     // Since the last point that was tracked,
  double tracked_seconds_ = 0;
  uint64_t tracked_samples_ = 0;  // with which these were told.
};

}  // namespace shardmill
