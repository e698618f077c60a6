#include "server/snapshot_keeper.h"

#include <algorithm>
#include <string>
#include <utility>

#include "snapshot/folder.h"

namespace shardmill {

SnapshotKeeper::SnapshotKeeper(const JobOptions& job, const Log& log)
    : options_(job.snapshot), job_(job.job.name), log_(log), store_(files_, job.snapshot.to) {}

Result<> SnapshotKeeper::Prepare(CoordinatorOptions& options) {
  if (options_.to.empty()) return {};
  options.name = job_;
  options.snapshots.enabled = true;
  options.snapshots.every = options_.every;
  options.snapshots.rounds = options_.every_rounds;
  options.snapshots.epochs = options_.every_epochs;
  options.snapshots.number = SM_TRY(HighestNumber(store_, job_));
  std::vector<FoundSnapshot> found = SM_TRY(ListSnapshots(store_, job_));
  for (FoundSnapshot& one : found) {
    if (one.manifest) options.kept.push_back(std::move(*one.manifest));
  }
  return LeaveToken(store_, job_, options.job);
}

Result<> SnapshotKeeper::Resume(CoordinatorOptions& options) {
  if (options_.resume.empty()) return {};
  options.resume = SM_TRY(Find(options_.resume));
  const std::string problem = Coordinator::ResumeProblem(options);
  if (!problem.empty()) return Error{ErrorCode::kBadUsage, problem};
  log_.Info("resumes", {{"snapshot", options.resume->number},
                        {"generation", options.resume->view.generation.value + 1}});
  return {};
}

Result<Manifest> SnapshotKeeper::Find(const std::string& resume) {
  std::vector<FoundSnapshot> found = SM_TRY(ListSnapshots(store_, job_));
  const auto none = [&](const std::string& what) {
    return Error{ErrorCode::kBadUsage,
                 store_.PlaceOf(job_) + ": " + what +
                     " (snapshot.resume); `shardmill snapshot ls` shows what is there"};
  };
  if (resume == "latest") {
    if (found.empty()) return none("there is no snapshot to begin from");
    if (!found.back().manifest) return none(found.back().problem);
    return std::move(*found.back().manifest);
  }
  const auto same = [&](const FoundSnapshot& one) { return std::to_string(one.number) == resume; };
  const auto one = std::ranges::find_if(found, same);
  if (one == found.end()) return none("there is no snapshot " + resume);
  if (!one->manifest) return none(one->problem);
  return std::move(*one->manifest);
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
      const Result<> cleaned = CleanUp(store_, job_, manifest->number,
                                       {options_.keep, options_.keep_for.count()}, now_ms);
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
