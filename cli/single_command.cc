#include "cli/single_command.h"

#include <chrono>
#include <memory>
#include <utility>

#include "cli/job_weights.h"
#include "cli/progress.h"
#include "cli/run_folder.h"
#include "cli/train_result.h"
#include "common/clock.h"
#include "common/fresh_id.h"
#include "common/job/network_keys.h"
#include "optim/optimizer.h"
#include "optim/rate.h"
#include "worker/job_measurers.h"
#include "worker/job_model.h"
#include "worker/local_snapshot.h"
#include "worker/single_trainer.h"
#include "worker/track/tracker.h"
#include "worker/within_memory.h"

namespace shardmill {
namespace {

double UnixSeconds() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

// Tells people how a training gets on. Lives for one run.
class Teller final {
 public:
  Teller(const JobOptions& job, const Console& console, bool quiet, const Examiner& examiner,
         Tracker& tracker)
      : job_(job),
        console_(console),
        quiet_(quiet),
        examiner_(examiner),
        tracker_(tracker),
        progress_(console, job.train.epochs, job.train.steps) {}

  void Tell(const SingleProgress& progress) {
    TrackPoint point{progress.step,
                     progress.epochs,
                     progress.seconds,
                     static_cast<double>(progress.samples),
                     {}};
    if (progress.measured) point.values = examiner_.course();
    point.values.emplace_back("train_loss", progress.loss);
    const double seconds = progress.seconds - std::exchange(seconds_, progress.seconds);
    const uint64_t samples = progress.samples - std::exchange(samples_, progress.samples);
    if (seconds > 0) {
      point.values.emplace_back("samples_per_second", static_cast<double>(samples) / seconds);
    }
    point.values.emplace_back("learning_rate",
                              RateAt(job_.optimizer.ToUpdate().rate, progress.step, 1));
    point.values.emplace_back("gradient_length", progress.gradient_length);
    if (tracks_ && !tracker_.Write(UnixSeconds(), point).ok()) {
      tracks_ = false;
      console_.err << "the curves cannot be written any more\n";
    }
    if (quiet_) return;
    JobStatus::Worker worker{.step = progress.step,
                             .epoch = progress.epochs,
                             .samples = point.samples,
                             .seconds = progress.seconds,
                             .metrics = examiner_.figures()};
    worker.metrics.emplace_back("train_loss", progress.loss);
    JobStatus status;
    status.state = JobStatus::State::kTraining;
    status.workers.push_back(std::move(worker));
    progress_.Show(status, clock_.Now());
  }

  // Takes the line of progress away.
  void Clear() { progress_.Clear(); }

 private:
  const JobOptions& job_;
  const Console& console_;
  const bool quiet_;
  const Examiner& examiner_;
  Tracker& tracker_;
  bool tracks_ = true;
  double seconds_ = 0;    // When it was told last,
  uint64_t samples_ = 0;  // and what had been made by then.
  Progress progress_;
  SteadyClock clock_;
};

Result<> TellResult(const TrainFlags& flags, const Console& console, const SingleProgress& progress,
                    TrainResult result, const std::string& folder, const std::string& model) {
  result.policy = "single";
  result.workers = 1;
  result.steps = progress.step;
  result.seconds = progress.seconds;
  result.samples = static_cast<double>(progress.samples);
  result.skipped = progress.skipped;
  result.reproducible = true;
  result.metrics.emplace_back("train_loss", progress.loss);
  const std::string json = ToJson(result);
  SM_TRY(WriteTextFile(folder + "/" + kResultFile, json + "\n"));
  std::ostream& people = flags.json ? console.err : console.out;
  if (!flags.json || !flags.quiet) {
    people << DescribeResult(result) << std::flush;
    const bool beside = model == folder + "/" + kModelFile;
    console.err << (beside ? "model and result in " : "model in " + model + ", result in ")
                << folder << "\n"
                << std::flush;
  }
  if (flags.json) console.out << json << "\n" << std::flush;
  if (!result.Problem().empty()) return Error{ErrorCode::kFailed, result.Problem()};
  return {};
}

Result<> BeginWith(const GivenWeights& weights, LocalTables& tables) {
  for (size_t i = 0; i < weights.given.size(); ++i) {
    if (!weights.given[i]) continue;
    const std::span<const uint64_t> keys = weights.file->Keys(i);
    const std::span<const float> values =
        SM_TRY(keys.empty() ? weights.file->Dense(i) : weights.file->Rows(i, keys));
    if (keys.empty()) {
      tables.Begin(i, values);
    } else {
      tables.Begin(i, keys, values);
    }
  }
  return {};
}

// Of the end of training, where the job names a folder for snapshots.
Result<> KeepSnapshot(const JobOptions& job, const NetworkModel& model, const Columns& columns,
                      LocalTables& tables, uint64_t steps, const Console& console) {
  if (job.snapshot.to.empty()) return {};
  const Result<uint64_t> number = WriteLocalSnapshot(job, model.Parameters(), columns, tables,
                                                     {.job = FreshId(), .steps = steps});
  if (!number.ok()) {
    return Error{ErrorCode::kUnsaved, "the training is done, but " + number.error().message};
  }
  console.err << "snapshot " << number.value() << " in " << job.snapshot.to << "\n" << std::flush;
  return {};
}

// The weight, its gradient and what the optimizer keeps of it.
uint64_t NumbersAWeight(const JobOptions& job) {
  const auto optimizer = MakeOptimizer(job.optimizer.ToUpdate());
  return 2 + (optimizer.ok() ? optimizer.value()->slots() : 0);
}

Result<> Train(const TrainFlags& flags, const Console& console, const StopSource& stop,
               const JobOptions& job, const std::string& folder, std::string& wanted) {
  if (job.policy.exchange == Exchange::kParameters) {
    return Error{ErrorCode::kBadUsage,
                 "--single has nobody to exchange parameters with; set policy.exchange to "
                 "\"gradients\""};
  }
  SM_TRY(WriteRunRecord(folder, {.name = job.job.name, .file = flags.job.file}));
  wanted = DataMemoryWords(job);
  const DataParts data =
      SM_TRY(ReadData(job.data, job.job.seed, [&stop] { return stop.requested(); }));
  for (const std::string& note : data.notes) console.err << note << "\n";
  const std::unique_ptr<NetworkModel> model = SM_TRY(MakeJobModel(job, *data.train));
  wanted = TrainingMemoryWords(job, model->Parameters(), NumbersAWeight(job));
  if (job.compute.device != ComputeDevice::kCpu) {
    console.err << "computes on " << model->device() << "\n";
  }
  const JobMeasurers measurers = SM_TRY(MakeMeasurers(job, data, *model));
  Examiner examiner({*model, *data.train, *measurers.validate, measurers.at_end(), NetworkOf(job)},
                    job.train);
  const bool leased = job.data.scheme == DataScheme::kLeased;
  const BatchPlan plan{.seed = job.job.seed,
                       .batch_rows = job.BatchRows(),
                       .scheme = leased ? DataScheme::kRandom : job.data.scheme};
  Batches batches(*data.train, plan, KeyedInputs(model->Parameters()), job.data.read_ahead);
  SM_TRY(CheckBatches(job, *model, batches.rows_per_epoch()));
  const std::unique_ptr<LocalTables> tables =
      SM_TRY(LocalTables::Make(model->Parameters(), job.optimizer.ToUpdate()));
  if (BeginsWithWeights(job)) {
    const GivenWeights given =
        SM_TRY(OpenJobWeights(job, model->Parameters(), data.train->columns()));
    console.err << given.words << "\n" << std::flush;
    SM_TRY(BeginWith(given, *tables));
  }
  SingleOptions options;
  options.train = job.train;
  if (job.train.accumulate > 1) options.part_rows = job.data.batch_size;
  options.clip_norm = job.optimizer.clip_norm;
  options.on_nonfinite = job.policy.on_nonfinite;
  options.stopped = [&stop] { return stop.requested(); };
  const SteadyClock clock;
  SingleTrainer trainer(options, *model, batches, *tables, examiner, clock);
  const std::unique_ptr<Tracker> tracker =
      SM_TRY(Tracker::Make(job.train.track, "worker-0", UnixSeconds()));
  Teller teller(job, console, flags.quiet, examiner, *tracker);
  SM_TRY(trainer.Run([&teller](const SingleProgress& progress) { teller.Tell(progress); }));
  teller.Clear();
  TrainResult result;
  result.bad_rows = data.bad_rows;
  result.measured_on = MeasuredPart(job.data);
  TakeFigures(examiner.figures(), job.train, result);
  const Result<> kept =
      KeepSnapshot(job, *model, data.train->columns(), *tables, trainer.progress().step, console);
  SM_TRY(
      TellResult(flags, console, trainer.progress(), std::move(result), folder, job.train.model));
  return kept;
}

}  // namespace

Result<> RunSingle(const TrainFlags& flags, const Console& console, const StopSource& stop,
                   const JobOptions& job, const std::string& folder) {
  JobOptions alone = job;
  alone.cluster.workers = 1;
  std::string wanted;
  return WithinMemory([&] { return Train(flags, console, stop, alone, folder, wanted); }, wanted);
}

}  // namespace shardmill
