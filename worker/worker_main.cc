// shardmill-worker: one rank; computes gradients, pushes and pulls.

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <utility>

#include "client/session.h"
#include "common/clock.h"
#include "common/config/text.h"
#include "common/daemon/daemon.h"
#include "common/flags/flags.h"
#include "common/http/http_server.h"
#include "common/job/job.h"
#include "common/job/network_keys.h"
#include "common/metrics/metrics.h"
#include "common/process/announce.h"
#include "common/timeline/timeline.h"
#include "worker/computed.h"
#include "worker/data/batches.h"
#include "worker/data/read_data.h"
#include "worker/job_line.h"
#include "worker/job_measurers.h"
#include "worker/job_model.h"
#include "worker/local_steps.h"
#include "worker/meaning.h"
#include "worker/model_file.h"
#include "worker/session_options.h"
#include "worker/track/tracker.h"
#include "worker/trainer.h"
#include "worker/within_memory.h"

namespace shardmill {
namespace {

// The weight that was read, and its gradient.
constexpr uint64_t kNumbersAWeight = 2;

// What the job file can hardly have meant, and still can be trained.
void WarnOfFewSamples(const JobOptions& job, uint64_t rows, const Log& log) {
  if (rows == 0) {
    log.Warn("rank_has_no_samples", {{"cluster.workers", job.cluster.workers},
                                     {"why", "there are more workers than samples"}});
  } else if (rows < job.BatchRows()) {
    log.Warn("batch_is_never_full",
             {{"data.batch_size", job.data.batch_size}, {"samples_of_this_rank", rows}});
  }
}

// Whether steps over so many rows an epoch can be made, and what is to be known of them.
Result<> PrepareSteps(const JobOptions& job, NetworkModel& model, uint64_t rows, const Log& log) {
  SM_TRY(CheckBatches(job, model, rows));
  WarnOfFewSamples(job, rows, log);
  const std::string again = SM_TRY(MakeRoomForSteps(job, model, rows));
  if (!again.empty()) log.Info("computes_again", {{"what", again}});
  return {};
}

// What the device did, and where that was slower than it could have been.
void TellWhatComputed(uint32_t rank, const NetworkModel& model, Tracker* tracker, const Log& log) {
  const nn::PieceCounts& pieces = model.pieces();
  const nn::ConvolutionCounts convolutions = model.convolutions();
  log.Info("computed", {{"pieces_asked", pieces.asked},
                        {"pieces_recorded", pieces.recorded},
                        {"pieces_replayed", pieces.replayed},
                        {"convolutions_by_library", convolutions.by_library},
                        {"convolutions_by_kernels", convolutions.by_kernels}});
  for (const std::string& words : SlowerWords(model)) log.Warn("slower", {{"why", words}});
  if (tracker == nullptr) return;
  const Result<> written = tracker->WriteComputed(ComputedJson(rank, model));
  if (!written.ok()) log.Warn("tracks_no_more", {{"why", written.error().message}});
}

// What was read, and what of it was not.
void TellOfData(const DataParts& data, const Log& log) {
  for (const std::string& note : data.notes) log.Warn("data", {{"note", note}});
  log.Info("data_is_there", {{"rows", data.train->rows()},
                             {"measured_rows", data.measured()->rows()},
                             {"bad_rows", data.bad_rows}});
}

// What an operator sees of this worker.
struct WorkerMetrics {
  explicit WorkerMetrics(Registry& registry)
      : steps(registry.AddCounter("shardmill_worker_steps_total", "Steps finished.")),
        samples(registry.AddCounter("shardmill_worker_samples_total", "Samples trained on.")),
        discarded(registry.AddCounter("shardmill_worker_discarded_steps_total",
                                      "Steps whose round was closed without them.")),
        skipped(registry.AddCounter("shardmill_worker_skipped_steps_total",
                                    "Steps left out for a gradient that is no number.")),
        rollbacks(registry.AddCounter("shardmill_worker_rollbacks_total",
                                      "How often the job has gone back to a snapshot.")),
        nonfinite(registry.AddCounter("shardmill_worker_nonfinite_batches_total",
                                      "Batches between two averages of parameters whose gradient "
                                      "is no number.")),
        wait(registry.AddHistogram("shardmill_worker_step_wait_seconds",
                                   "What a step spends waiting for pulls and pushes.")),
        compute(registry.AddHistogram("shardmill_worker_step_compute_seconds",
                                      "What a step spends computing gradients.")),
        loss(registry.AddGauge("shardmill_worker_loss", "Mean loss of the last batch.")),
        step_bytes(registry.AddGauge("shardmill_worker_step_bytes",
                                     "What layers make in a step and is kept at a time.")),
        computed_again(registry.AddGauge("shardmill_worker_computed_again_share",
                                         "Products that a step computes again, as a share of "
                                         "those of its way forward.")) {}

  void Publish(const TrainerProgress& progress, const nn::StepMemory& memory) {
    step_bytes.Set(static_cast<double>(memory.bytes));
    computed_again.Set(memory.share_again);
    steps.Add(progress.steps - steps.value());
    samples.Add(progress.samples - samples.value());
    discarded.Add(progress.discarded - discarded.value());
    skipped.Add(progress.skipped - skipped.value());
    rollbacks.Add(progress.rollbacks - rollbacks.value());
    nonfinite.Add(progress.nonfinite - nonfinite.value());
    Observe(progress.wait_seconds - std::exchange(waited, progress.wait_seconds), wait);
    Observe(progress.compute_seconds - std::exchange(computed, progress.compute_seconds), compute);
    loss.Set(progress.loss);
  }

  static void Observe(double seconds, Histogram& histogram) {
    histogram.Observe(std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds)));
  }

  Counter& steps;
  Counter& samples;
  Counter& discarded;
  Counter& skipped;
  Counter& rollbacks;
  Counter& nonfinite;
  Histogram& wait;
  Histogram& compute;
  Gauge& loss;
  Gauge& step_bytes;
  Gauge& computed_again;
  double waited = 0;  // Seconds until the last step.
  double computed = 0;
};

double UnixSeconds() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

// A disk that is full is no reason to end the training.
void Track(const TrackPoint& point, std::unique_ptr<Tracker>& tracker, const Log& log) {
  if (tracker == nullptr) return;
  const Result<> written = tracker->Write(UnixSeconds(), point);
  if (written.ok()) return;
  log.Warn("tracks_no_more", {{"why", written.error().message}});
  tracker.reset();
}

// Which rows this worker has, where that does not depend on when it asks.
Result<BatchPlan> PlanOf(const JobOptions& job, const WorkerFlags& flags) {
  const bool leased = job.data.scheme == DataScheme::kLeased;
  if (flags.any_rank && !leased) {
    return Error{
        ErrorCode::kBadUsage,
        "--rank any wants data.scheme = \"leased\"; else a rank says whose samples it has"};
  }
  const uint32_t rank = leased ? 0 : flags.rank;
  const uint32_t workers = leased ? 1 : job.cluster.workers;
  return BatchPlan{job.job.seed, rank, workers, job.BatchRows(), job.data.scheme};
}

// Frees the rank at once, where somebody is there to hear it; the first error is the one to tell.
Result<> LeaveEarly(const Error& error, bool elastic, Session& session, const Log& log) {
  if (error.code == ErrorCode::kStopped) {
    const Result<> left = session.Close(false);
    if (elastic) {
      log.Info("left", {{"before_step", session.next_step()}, {"heard", left.ok()}});
      return {};
    }
  }
  // What is wrong with the data or the model would be so again: the job ends with the reason.
  if (error.code == ErrorCode::kBadInput) static_cast<void>(session.Abort(error.message).ok());
  return error;
}

// What the job file says of the training loop.
TrainerOptions TrainerOptionsOf(const JobOptions& job) {
  TrainerOptions options;
  options.train = job.train;
  if (job.train.accumulate > 1) options.part_rows = job.data.batch_size;
  // By then each has read it before its step: see Policy.
  options.stop_after = job.policy.ToPolicy().staleness;
  options.step_timeout = job.network.step_timeout;
  options.lease = job.cluster.lease;
  options.clip_norm = job.optimizer.clip_norm;
  options.average_every = job.policy.average_every;
  options.overlap = job.train.overlap;
  options.lent_bytes_max = job.network.queue_bytes;
  options.on_nonfinite = job.policy.on_nonfinite;
  options.rate = job.optimizer.ToUpdate().rate;
  options.workers = job.cluster.workers;
  return options;
}

// Writes how this worker gets on, where the job says a folder for that.
Result<std::unique_ptr<Tracker>> MakeTracker(const JobOptions& job, uint32_t rank,
                                             const DataParts& data) {
  if (job.train.track.empty()) return std::unique_ptr<Tracker>();
  const std::string name = "worker-" + std::to_string(rank);
  std::unique_ptr<Tracker> tracker = SM_TRY(Tracker::Make(job.train.track, name, UnixSeconds()));
  SM_TRY(tracker->WriteLeftOut(data.left_out));
  return tracker;
}

Result<> CheckStart(const JobOptions& job) {
  SM_TRY(CheckTrainable(job));
  SM_TRY(CheckModelPlace(job.train));
  if (!BeginsWithWeights(job)) return {};
  return Error{
      ErrorCode::kBadUsage,
      "\"train.weights\" is given and \"snapshot.resume\" is not: a job whose processes are "
      "started by hand begins with weights from the snapshot that `shardmill snapshot "
      "begin` makes of them; set snapshot.resume to the number that it prints"};
}

Result<std::unique_ptr<Session>> Join(SessionOptions options, const Log& log) {
  options.waits = [&log](const std::string& why) { log.Info("waits_to_join", {{"why", why}}); };
  log.Info("waiting_for_the_coordinator", {{"at", options.coordinator},
                                           {"up_to", config::FormatDuration(options.open_timeout)},
                                           {"key", "cluster.start_timeout"}});
  return Session::Open(options);
}

Result<> Train(const WorkerFlags& flags, const DaemonContext& daemon, WorkerMetrics& metrics,
               std::atomic<bool>& joined, TimelineLane* lane, std::string& wanted) {
  const JobOptions& job = daemon.job;
  SM_TRY(CheckStart(job));
  wanted = DataMemoryWords(job);
  const DataParts data =
      SM_TRY(ReadData(job.data, job.job.seed, [&daemon] { return daemon.stop.requested(); }));
  TellOfData(data, daemon.log);
  const std::unique_ptr<NetworkModel> model = SM_TRY(MakeJobModel(job, *data.train, flags.rank));
  daemon.log.Info("computes", {{"on", model->device()}});
  wanted = TrainingMemoryWords(job, model->Parameters(), kNumbersAWeight);
  const std::string peeking = PeekingWords(job);
  if (!peeking.empty()) daemon.log.Warn("looks_at_test_rows", {{"why", peeking}});
  const JobMeasurers measurers = SM_TRY(MakeMeasurers(job, data, *model));
  Examiner examiner({*model, *data.train, *measurers.validate, measurers.at_end(), NetworkOf(job)},
                    job.train);
  const BatchPlan plan = SM_TRY(PlanOf(job, flags));
  Batches batches(*data.train, plan, KeyedInputs(model->Parameters()), job.data.read_ahead);
  std::unique_ptr<LocalSteps> local;
  if (job.policy.exchange == Exchange::kParameters) {
    local = SM_TRY(
        LocalSteps::Make(job.optimizer.ToUpdate(), job.cluster.workers, model->Parameters()));
    model->SayStepsOnHost(local->StepOn(model->network()));
  }
  SM_TRY(PrepareSteps(job, *model, batches.rows_per_epoch(), daemon.log));

  SessionOptions session_options = SessionOptionsOf(job, flags.rank);
  session_options.any_rank = flags.any_rank;
  // Who leaves a job that goes on without it finishes its step first.
  const bool elastic = job.cluster.elastic;
  session_options.stopped = [&daemon, &joined, elastic] {
    return daemon.stop.requested() && !(elastic && joined.load(std::memory_order_relaxed));
  };
  session_options.timeline = lane;
  const std::unique_ptr<Session> session = SM_TRY(Join(std::move(session_options), daemon.log));
  joined.store(true, std::memory_order_relaxed);
  daemon.log.Info("joined", {{"rank", session->rank()}, {"step", session->next_step()}});

  Result<> trained = CheckMeaning(*session, data.train->columns());
  if (!trained.ok()) return LeaveEarly(trained.error(), elastic, *session, daemon.log);

  const SteadyClock clock;
  TrainerOptions options = TrainerOptionsOf(job);
  options.rank = session->rank();
  options.bad_rows = data.bad_rows;
  options.stopped = [&daemon] { return daemon.stop.requested(); };
  options.timeline = lane;
  std::unique_ptr<Tracker> tracker = SM_TRY(MakeTracker(job, session->rank(), data));
  if (tracker) {
    options.track = [&](const TrackPoint& point) { Track(point, tracker, daemon.log); };
  }
  examiner.Begin({session->job(), session->next_step() - 1, JobLine(job)});
  const TrainerParts parts{*session, *model, batches, local.get(), examiner};
  Trainer trainer(options, parts, clock, daemon.log);
  do {
    trained = trainer.Run(
        [&](const TrainerProgress& progress) { metrics.Publish(progress, model->memory()); });
    if (trained.ok()) trained = session->Close(true);
  } while (!trained.ok() && trained.error().code == ErrorCode::kRolledBack);
  if (!trained.ok()) return LeaveEarly(trained.error(), elastic, *session, daemon.log);
  TellWhatComputed(session->rank(), *model, tracker.get(), daemon.log);
  for (const auto& [name, value] : trainer.metrics()) {
    daemon.log.Info("result", {{"metric", name}, {"value", value}});
  }
  daemon.log.Info("done", {{"staleness_max", session->counters().staleness_max}});
  return {};
}

Result<> Serve(const WorkerFlags& flags, const DaemonContext& daemon) {
  const JobOptions& job = daemon.job;
  Registry registry;
  WorkerMetrics metrics(registry);
  // Written by the training thread, read by HTTP threads.
  std::atomic<bool> joined{false};
  const std::unique_ptr<HttpServer> http = SM_TRY(StartHttp(
      job, DaemonRoutes(registry, [&joined] {
        return joined.load(std::memory_order_relaxed) ? "" : "the job has not let this rank in";
      })));
  SM_TRY(Announce(flags.announce_fd, {"", http ? http->address() : ""}));
  daemon.log.Info("worker_starts",
                  {{"rank", flags.rank}, {"http", http ? http->address() : "off"}});
  const SteadyClock clock;
  std::unique_ptr<Timeline> timeline;
  if (!job.trace.timeline.empty()) {
    timeline = SM_TRY(
        Timeline::Make(job.trace.timeline, TimelineProcess::Worker(flags.rank), clock, daemon.log));
  }
  TimelineLane* lane = timeline ? &timeline->AddLane("trainer") : nullptr;
  std::string wanted;
  return WithinMemory([&] { return Train(flags, daemon, metrics, joined, lane, wanted); }, wanted);
}

}  // namespace
}  // namespace shardmill

int main(int argc, char** argv) {
  return shardmill::RunDaemon(shardmill::ParseWorkerFlags(shardmill::ArgumentsOf(argc, argv)),
                              "shardmill-worker", &shardmill::Serve);
}
