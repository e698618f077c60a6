#include "cli/train_command.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <optional>
#include <ostream>
#include <string>
#include <system_error>
#include <utility>

#include "cli/job_weights.h"
#include "cli/local_cluster.h"
#include "cli/progress.h"
#include "cli/run_folder.h"
#include "cli/single_command.h"
#include "cli/timeline_merge.h"
#include "cli/train_result.h"
#include "common/config/print.h"
#include "common/http/http_client.h"
#include "common/job/job.h"
#include "common/process/exit_code.h"
#include "worker/data/read_data.h"
#include "worker/job_line.h"
#include "worker/model_file.h"

namespace shardmill {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kStatusEvery{100};
constexpr milliseconds kStatusTimeout{2'000};
constexpr milliseconds kSilenceMax{30'000};  // Of the coordinator.
constexpr milliseconds kGoodbyeMax{30'000};  // Of a worker, once the job is done.
constexpr milliseconds kGrace{10'000};

Result<JobStatus> AskStatus(const std::string& http) {
  return ParseJobStatus(SM_TRY(HttpGetBody(http, "/status", kStatusTimeout)));
}

Error FailureOf(const JobStatus& status) {
  const bool late = status.exit_code == static_cast<uint64_t>(ExitCode::kUnavailable);
  return {late ? ErrorCode::kUnavailable : ErrorCode::kFailed, "the job failed: " + status.words};
}

// One run of one job. Lives for one call of RunTrain, on its thread.
class Training final {
 public:
  Training(const TrainFlags& flags, const Console& console, const StopSource& stop, Job job,
           std::string folder, LocalClusterOptions cluster)
      : flags_(flags),
        console_(console),
        stop_(stop),
        job_(std::move(job)),
        folder_(std::move(folder)),
        cluster_(std::move(cluster)),
        progress_(console, job_.options.train.epochs, job_.options.train.steps) {
    cluster_.TellTo([this](const std::string& words) {
      progress_.Clear();
      console_.err << words << "\n" << std::flush;
    });
  }

  Result<> Run() {
    const Result<> ran = RunProcesses();
    if (flags_.trace.empty()) return ran;
    const Result<> merged = MergeParts();
    return ran.ok() ? merged : ran;
  }

 private:
  Result<> RunProcesses() {
    Result<JobStatus> end = Train();
    progress_.Clear();
    if (!end.ok()) {
      const bool stopped = end.error().code == ErrorCode::kStopped;
      if (stopped) console_.err << "stopping; Ctrl-C again ends at once\n" << std::flush;
      // The first error is the one to tell, whatever others follow from it.
      const Result<> ended = cluster_.Stop(kGrace, [&](const std::string& slow) {
        console_.err << slow << (stopped ? "; Ctrl-C again ends at once\n" : "\n") << std::flush;
      });
      static_cast<void>(ended.ok());
      return std::move(end).error();
    }
    const Result<> ended = cluster_.Stop(kGrace);
    // Where the last snapshot is lost the processes end badly for that, and the rest is told.
    const auto& snapshots = end.value().snapshots;
    if (!ended.ok() && !(snapshots && snapshots->final_lost)) return ended;
    return Tell(end.value());
  }

  // Also of a run that has failed: its timeline may say why.
  Result<> MergeParts() {
    const ClusterOptions& cluster = job_.options.cluster;
    std::vector<TimelineProcess> processes;
    for (uint32_t i = 0; i < cluster.workers; ++i) processes.push_back(TimelineProcess::Worker(i));
    for (uint32_t i = 0; i < cluster.servers; ++i) processes.push_back(TimelineProcess::Server(i));
    const MergedTimeline merged =
        SM_TRY(MergeTimeline(job_.options.trace.timeline, processes, flags_.trace));
    console_.err << "timeline in " << flags_.trace << ": " << Describe(merged) << "\n"
                 << std::flush;
    return {};
  }

  Result<JobStatus> Train() {
    SM_TRY(cluster_.Start(stop_));
    const Announcement& coordinator = cluster_.coordinator();
    SM_TRY(WriteRunRecord(
        folder_, {job_.options.job.name, flags_.job.file, coordinator.address, coordinator.http}));
    JobStatus status = SM_TRY(AwaitDone(coordinator.http));
    SM_TRY(cluster_.AwaitWorkers(kGoodbyeMax, stop_));
    return status;
  }

  // Until the coordinator says that the job is done. The error is about the first that went wrong.
  Result<JobStatus> AwaitDone(const std::string& http) {
    TimePoint heard = clock_.Now();
    while (!stop_.WaitFor(kStatusEvery)) {
      const Result<> processes = cluster_.Check();
      Result<JobStatus> status = AskStatus(http);
      if (status.ok()) {
        heard = clock_.Now();
        if (status.value().state == JobStatus::State::kFailed) return FailureOf(status.value());
        if (!flags_.quiet) progress_.Show(status.value(), heard);
      }
      if (!processes.ok()) return processes.error();
      if (status.ok() && status.value().state == JobStatus::State::kDone) return status;
      if (!status.ok() && clock_.Now() - heard > kSilenceMax) {
        return Error{ErrorCode::kUnavailable,
                     "the coordinator has been silent for " +
                         std::to_string(kSilenceMax / std::chrono::seconds(1)) +
                         " s: " + status.error().message};
      }
    }
    return Error{ErrorCode::kStopped, "stopped; " + folder_ + " has the logs"};
  }

  Result<> Tell(const JobStatus& status) {
    TrainResult result = ResultOf(job_.options, status);
    result.left_out = ReadLeftOut(job_.options.train.track);
    result.computed = ReadComputed(job_.options.train.track, result.workers);
    const std::string json = ToJson(result);
    SM_TRY(WriteTextFile(folder_ + "/" + kResultFile, json + "\n"));
    console_.err << NothingLeftWords(job_.options, result) << std::flush;
    std::ostream& people = flags_.json ? console_.err : console_.out;
    if (!flags_.json || !flags_.quiet) {
      people << DescribeResult(result) << std::flush;
      console_.err << "logs and result in " << folder_ << "\n" << std::flush;
    }
    if (flags_.json) console_.out << json << "\n" << std::flush;
    if (result.samples_lost + result.samples_repeated > 0) {
      return Error{ErrorCode::kFailed, "the audit failed: " + std::to_string(result.samples_lost) +
                                           " samples were used by no step, " +
                                           std::to_string(result.samples_repeated) + " twice"};
    }
    if (result.lost == 0 && result.duplicated == 0) {
      if (!result.Problem().empty()) return Error{ErrorCode::kFailed, result.Problem()};
      if (result.unsaved.empty()) return {};
      return Error{ErrorCode::kUnsaved, "the job is done, but " + result.unsaved};
    }
    return Error{ErrorCode::kFailed, "the audit failed: " + std::to_string(result.lost) +
                                         " acknowledged steps are lost, " +
                                         std::to_string(result.duplicated) + " applied twice"};
  }

  const TrainFlags& flags_;
  const Console& console_;
  const StopSource& stop_;
  Job job_;
  std::string folder_;
  LocalCluster cluster_;
  Progress progress_;
  SteadyClock clock_;
};

// A job that goes on from a snapshot goes on with the best model that the runs before it, and no
// others of its name, have kept, too.
Result<> BringKeptModel(const JobOptions& job, const std::string& folder) {
  if (job.snapshot.resume.empty() || job.train.best.empty() || !job.train.model.empty()) return {};
  const std::string kept =
      FindModelFile(job.job.runs, job.job.name, [line = JobLine(job)](const std::string& file) {
        const std::optional<KeptModel> model = ReadKeptModel(file);
        return model && std::ranges::find(line, model->job) != line.end();
      });
  if (kept.empty()) return {};
  std::error_code why;
  std::filesystem::copy_file(kept, folder + "/" + kModelFile, why);
  if (!why) return {};
  return Error{ErrorCode::kFailed,
               kept + ": it cannot be copied to " + folder + ": " + why.message()};
}

// What is odd about a job that can be trained all the same, in words; empty ones say nothing.
std::vector<std::string> WarningsOf(const Job& job, bool single) {
  std::vector<std::string> warnings{OverriddenWords(job.listing), PeekingWords(job.options)};
  if (single && !job.options.snapshot.to.empty()) {
    warnings.emplace_back("--single makes one snapshot, of its end or of where it is stopped");
  }
  if (!job.options.train.weights.empty() && !job.options.snapshot.resume.empty()) {
    warnings.emplace_back(
        "\"train.weights\" is not read: the job goes on from a snapshot (snapshot.resume)");
  }
  std::erase(warnings, "");
  return warnings;
}

}  // namespace

Result<> RunTrain(const TrainFlags& flags, const Console& console, const StopSource& stop) {
  Job job = SM_TRY(LoadJob(flags.job.file, {flags.job.sets, console.environment}));
  SM_TRY(CheckTrainable(job.options));
  SM_TRY(CheckModelPlace(job.options.train));
  SM_TRY(CheckDataFiles(job.options.data));
  if (flags.single && (flags.record || !flags.trace.empty())) {
    return Error{ErrorCode::kBadUsage,
                 "--single has no shards to record and no processes to trace"};
  }
  for (const std::string& words : WarningsOf(job, flags.single)) {
    console.err << "shardmill: " << words << "\n" << std::flush;
  }
  if (!flags.trace.empty()) SM_TRY(CheckTimelineFile(flags.trace));
  LocalClusterOptions cluster;
  cluster.programs = SM_TRY(FindPrograms());
  cluster.job = flags.job;
  cluster.servers = job.options.cluster.servers;
  cluster.workers = job.options.cluster.workers;
  cluster.elastic = job.options.cluster.elastic;
  cluster.replaces_servers = !job.options.snapshot.to.empty() ||
                             job.options.replication.replicas > 0 || job.options.replication.logs();
  cluster.folder = SM_TRY(MakeRunFolder(job.options.job.runs, job.options.job.name, UtcStamp()));
  std::string folder = cluster.folder;
  SM_TRY(BringKeptModel(job.options, folder));
  const auto write_to = [&](const char* key, const char* part) {
    cluster.job.sets.push_back(std::string(key) + "=" + folder + "/" + part);
  };
  if (flags.record) write_to("trace.folder", kTraceFolder);
  if (!flags.trace.empty()) write_to("trace.timeline", kTimelineFolder);
  if (job.options.replication.logs()) write_to("replication.log", kLogFolder);
  if (job.options.train.track.empty()) write_to("train.track", kTrackFolder);
  if (job.options.train.model.empty()) write_to("train.model", kModelFile);
  const bool given = !flags.single && BeginsWithWeights(job.options);
  if (given && job.options.snapshot.to.empty()) write_to("snapshot.to", kSnapshotFolder);
  const auto load = [&] {
    return LoadJob(cluster.job.file, {cluster.job.sets, console.environment});
  };
  job = SM_TRY(load());
  if (given) {
    const uint64_t start =
        SM_TRY(MakeStartSnapshot(job.options, console, [&stop] { return stop.requested(); }));
    cluster.job.sets.push_back("snapshot.resume=" + std::to_string(start));
    cluster.replaces_servers = true;
    job = SM_TRY(load());
  }
  // All that the run was made of, wherever it came from: what a replay goes by.
  SM_TRY(WriteTextFile(folder + "/" + kJobFile, config::PrintToml(job.listing, false)));
  if (flags.single) return RunSingle(flags, console, stop, job.options, folder);
  Training training(flags, console, stop, std::move(job), std::move(folder), std::move(cluster));
  return training.Run();
}

}  // namespace shardmill
