#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "common/blob/folder_store.h"
#include "common/blob/posix_files.h"
#include "common/job/job.h"
#include "common/log/log.h"
#include "common/process/file_lock.h"
#include "common/result.h"
#include "server/coordinator.h"

namespace shardmill {

// A coordinator's hand on the folder of snapshots: finds the one to begin from, and writes a
// manifest when all of its files are there. Owned by the coordinator's daemon, on its thread, which
// waits for the disk meanwhile.
class SnapshotKeeper final {
 public:
  SnapshotKeeper(const JobOptions& job, const Log& log);

  // Takes the job's folder of snapshots for this process alone, fills in what the coordinator must
  // know of them, and leaves the job's id there, by which servers find that it is the same folder
  // that they see. kUnavailable: another job of this name has the folder.
  Result<> Prepare(CoordinatorOptions& options);
  // Fills in the one that a new job begins from, where it shall. An error where there is none, or
  // one that this job cannot begin from.
  Result<> Resume(CoordinatorOptions& options);
  // Writes what the coordinator has to write, if anything, and tells it and people what became of
  // that. `now_ms`: since 1970.
  void Keep(Coordinator& coordinator, const Clock& clock, int64_t now_ms);

 private:
  Result<> LockFolder();
  Result<> Write(const Manifest& manifest);

  const SnapshotOptions& options_;
  std::string job_;
  const Log& log_;
  PosixFiles files_;
  FolderStore store_;
  std::optional<FileLock> lock_;  // None where the file system knows no locks.
  uint64_t given_up_ = 0;         // As last told.
};

}  // namespace shardmill
