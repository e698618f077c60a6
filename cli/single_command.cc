#include "cli/single_command.h"

#include <chrono>
#include <memory>
#include <optional>
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
#include "worker/computed.h"
#include "worker/job_line.h"
#include "worker/job_measurers.h"
#include "worker/job_model.h"
#include "worker/local_resume.h"
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
                    TrainResult result, const std::string& folder, const JobOptions& job) {
  result.policy = "single";
  result.workers = 1;
  result.steps = progress.step;
  result.seconds = progress.seconds;
  result.samples = static_cast<double>(progress.samples);
  result.skipped = progress.skipped;
  // Another card may add in another order.
  result.reproducible = job.compute.device == ComputeDevice::kCpu;
  if (progress.samples > 0) result.metrics.emplace_back("train_loss", progress.loss);
  const std::string json = ToJson(result);
  SM_TRY(WriteTextFile(folder + "/" + kResultFile, json + "\n"));
  console.err << NothingLeftWords(job, result) << std::flush;
  std::ostream& people = flags.json ? console.err : console.out;
  const std::string& model = job.train.model;
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

// What a run keeps as a snapshot, where its job names a folder for some.
struct Snapshots {
  const JobOptions& job;
  const NetworkModel& model;
  const Columns& columns;
  LocalTables& tables;
  const Origin& origin;

  Result<uint64_t> At(Step steps) const {
    return WriteLocalSnapshot(job, model.Parameters(), columns, tables,
                              {.job = origin.job, .line = origin.line, .steps = steps});
  }
};

// Of the end of training.
Result<> KeepSnapshot(const Snapshots& snapshots, Step steps, const Console& console) {
  const std::string& folder = snapshots.job.snapshot.to;
  if (folder.empty() || steps == snapshots.origin.steps) return {};
  const Result<uint64_t> number = snapshots.At(steps);
  if (!number.ok()) {
    return Error{ErrorCode::kUnsaved, "the training is done, but " + number.error().message};
  }
  console.err << "snapshot " << number.value() << " in " << folder << "\n" << std::flush;
  return {};
}

// Of where training was stopped; says how it goes on.
Error Stopped(const Snapshots& snapshots, Step steps) {
  const std::string words = "stopped after step " + std::to_string(steps);
  const std::string& folder = snapshots.job.snapshot.to;
  if (steps == snapshots.origin.steps)
    return {ErrorCode::kStopped, words + ", where this run began"};
  if (folder.empty()) {
    return {ErrorCode::kStopped, words +
                                     ", and nothing is kept: with a folder in snapshot.to a run "
                                     "that is stopped can go on later"};
  }
  const Result<uint64_t> number = snapshots.At(steps);
  if (!number.ok()) {
    return {ErrorCode::kFailed, words + ", and all is lost: " + number.error().message};
  }
  const std::string text = std::to_string(number.value());
  return {ErrorCode::kStopped, words + "; snapshot " + text + " in " + folder +
                                   ": --set snapshot.resume=" + text + " goes on from there"};
}

// The weight, its gradient and what the optimizer keeps of it.
uint64_t NumbersAWeight(const JobOptions& job) {
  const auto optimizer = MakeOptimizer(job.optimizer.ToUpdate());
  return 2 + (optimizer.ok() ? optimizer.value()->slots() : 0);
}

SingleOptions SingleOptionsOf(const JobOptions& job, const StopSource& stop, Step done) {
  SingleOptions options;
  options.train = job.train;
  options.done = done;
  if (job.train.accumulate > 1) options.part_rows = job.data.batch_size;
  options.clip_norm = job.optimizer.clip_norm;
  options.on_nonfinite = job.policy.on_nonfinite;
  options.stopped = [&stop] { return stop.requested(); };
  return options;
}

// The tables as training begins, and where in the job's life that is.
Result<Origin> Begin(const JobOptions& job, const NetworkModel& model, const Columns& columns,
                     const Console& console, LocalTables& tables) {
  Origin origin{.job = FreshId(), .line = JobLine(job)};
  if (BeginsWithWeights(job)) {
    const GivenWeights given = SM_TRY(OpenJobWeights(job, model.Parameters(), columns));
    console.err << given.words << "\n" << std::flush;
    SM_TRY(BeginWith(given, tables));
  }
  if (!job.snapshot.resume.empty()) {
    origin.steps = SM_TRY(ResumeLocally(job, model.Parameters(), columns, tables));
    console.err << "goes on after " << origin.steps << " steps\n" << std::flush;
  }
  return origin;
}

Result<> Train(const TrainFlags& flags, const Console& console, const StopSource& stop,
               const JobOptions& job, const std::string& folder, std::string& wanted) {
  if (job.policy.exchange == Exchange::kParameters) {
    return Error{ErrorCode::kBadUsage,
                 "--single has nobody to exchange parameters with; set policy.exchange to "
                 "\"gradients\""};
  }
  if (job.compute.gradients == GradientWidth::kBf16) {
    return Error{ErrorCode::kBadUsage,
                 "--single has weights stay on the card, and no gradients cross the bus; set "
                 "compute.gradients to \"float\""};
  }
  std::optional<FileLock> lock;
  if (!job.snapshot.to.empty()) lock = SM_TRY(LockSnapshots(job));
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
  const Columns& columns = data.train->columns();
  const Origin origin = SM_TRY(Begin(job, *model, columns, console, *tables));
  model->SayStepsOnHost(job.train.accumulate > 1
                            ? "train.accumulate has the gradients of some batches added up"
                            : tables->StepOn(model->network()));
  const std::string again = SM_TRY(MakeRoomForSteps(job, *model, batches.rows_per_epoch()));
  if (!again.empty()) console.err << again << "\n";
  examiner.Begin(origin);
  const Snapshots snapshots{job, *model, columns, *tables, origin};
  const SteadyClock clock;
  SingleTrainer trainer(SingleOptionsOf(job, stop, origin.steps), *model, batches, *tables,
                        examiner, clock);
  const std::unique_ptr<Tracker> tracker =
      SM_TRY(Tracker::Make(job.train.track, "worker-0", UnixSeconds()));
  Teller teller(job, console, flags.quiet, examiner, *tracker);
  const Result<> ran =
      trainer.Run([&teller](const SingleProgress& progress) { teller.Tell(progress); });
  teller.Clear();
  const Step steps = trainer.progress().step;
  if (!ran.ok() && ran.error().code == ErrorCode::kStopped) return Stopped(snapshots, steps);
  SM_TRY(ran);
  TrainResult result;
  result.bad_rows = data.bad_rows;
  result.left_out = data.left_out;
  SM_TRY(tracker->WriteComputed(ComputedJson(0, *model)));
  result.computed = ReadComputed(job.train.track, 1);
  result.measured_on = MeasuredPart(job.data);
  TakeFigures(examiner.figures(), job.train, result);
  const Result<> saved = KeepSnapshot(snapshots, steps, console);
  SM_TRY(TellResult(flags, console, trainer.progress(), std::move(result), folder, job));
  return saved;
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
