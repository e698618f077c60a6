#include "server/snapshot_keeper.h"

#include <string>
#include <utility>

#include "common/job/network_keys.h"
#include "snapshot/folder.h"
#include "snapshot/resume.h"

namespace shardmill {

SnapshotKeeper::SnapshotKeeper(const JobOptions& job, const Log& log)
    : options_(job.snapshot), job_(job.job.name), log_(log), store_(files_, job.snapshot.to) {}

Result<> SnapshotKeeper::Prepare(CoordinatorOptions& options) {
  if (options_.to.empty()) return {};
  options.name = job_;
  options.snapshots.enabled = true;
  options.resume_exactly = !options_.resume.empty() && options_.resume != kLatestSnapshot;
  options.snapshots.timeout = options_.timeout;
  options.snapshots.keep = options_.keep;
  options.snapshots.every = options_.every;
  options.snapshots.rounds = options_.every_rounds;
  options.snapshots.epochs = options_.every_epochs;
  SM_TRY(LockFolder());
  options.snapshots.number = SM_TRY(HighestNumber(store_, job_));
  std::vector<FoundSnapshot> found = SM_TRY(ListSnapshots(store_, job_));
  for (FoundSnapshot& one : found) {
    if (one.manifest) {
      options.kept.push_back(std::move(*one.manifest));
    } else {
      log_.Warn("snapshot_unreadable", {{"number", one.number}, {"why", one.problem}});
    }
  }
  return LeaveToken(store_, job_, options.job);
}

// Where locks are not to be had, KeepToken still finds a second job, though not at its start.
Result<> SnapshotKeeper::LockFolder() {
  SM_TRY(files_.MakeFolder(options_.to));
  SM_TRY(files_.MakeFolder(store_.PlaceOf(job_)));
  Result<FileLock> lock = FileLock::Take(store_.PlaceOf(job_) + "/.lock");
  if (lock.ok()) {
    lock_ = std::move(lock).value();
  } else if (lock.error().code == ErrorCode::kUnavailable) {
    return Error{ErrorCode::kUnavailable,
                 store_.PlaceOf(job_) +
                     ": another job of this name keeps its snapshots here; end it, or give this "
                     "one another job.name or snapshot.to"};
  } else {
    log_.Warn("snapshots_not_locked", {{"why", lock.error().message}});
  }
  return {};
}

Result<> SnapshotKeeper::Resume(CoordinatorOptions& options) {
  if (options_.resume.empty()) return {};
  options.resume = SM_TRY(FindResumed(store_, job_, options_.resume));
  const std::string problem = Coordinator::ResumeProblem(options);
  if (!problem.empty()) return Error{ErrorCode::kBadUsage, problem};
  SM_TRY(CheckNetwork("snapshot " + std::to_string(options.resume->number), options.resume->keys,
                      options.keys));
  for (const JobKeyChange& change : ChangesOf(options.resume->keys, options.keys)) {
    log_.Info("resumes_with", {{"change", change.Words()}});
  }
  log_.Info("resumes", {{"snapshot", options.resume->number},
                        {"generation", options.resume->view.generation.value + 1}});
  return {};
}

void SnapshotKeeper::Keep(Coordinator& coordinator, const Clock& clock, int64_t now_ms) {
  if (options_.to.empty()) return;
  if (std::optional<Manifest> manifest = coordinator.TakeManifest()) {
    manifest->time_ms = now_ms;
    const Result<> written = Write(*manifest);
    coordinator.Wrote(clock.Now(), manifest->number, written);
    if (written.ok()) {
      const SnapshotStatus& made = *coordinator.snapshots();
      log_.Info("snapshot", {{"number", made.number},
                             {"bytes", made.bytes},
                             {"seconds", std::chrono::duration<double>(made.took).count()}});
      const Result<> cleaned =
          CleanUp(store_, *manifest, {options_.keep, options_.keep_for.count()}, now_ms);
      if (!cleaned.ok()) log_.Warn("snapshots_not_removed", {{"why", cleaned.error().message}});
    }
  }
  const SnapshotStatus& status = *coordinator.snapshots();
  if (status.given_up == given_up_) return;
  given_up_ = status.given_up;
  log_.Warn("snapshot_given_up", {{"why", status.problem}});
}

// The files must be in the folder that is seen here, or nobody else may find them either.
Result<> SnapshotKeeper::Write(const Manifest& manifest) {
  SM_TRY(KeepToken(store_, job_, manifest.job));
  for (const SnapshotFile& file : manifest.files) {
    const std::string name = FolderOf(job_, manifest.number) + file.name;
    const Result<uint64_t> bytes = store_.Size(name);
    if (bytes.ok() && bytes.value() == file.bytes) continue;
    return Error{ErrorCode::kFailed, store_.PlaceOf(name) +
                                         ": the coordinator does not see the file that a shard has "
                                         "written; snapshot.to must be one folder that all share"};
  }
  return WriteManifest(store_, manifest);
}

}  // namespace shardmill
