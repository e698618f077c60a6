#pragma once

#include <memory>
#include <optional>
#include <string>

#include "common/blob/posix_files.h"
#include "common/coordinator_state.h"
#include "common/process/file_lock.h"
#include "common/result.h"
#include "common/storage/record_log.h"
#include "server/coordinator.h"

namespace shardmill {

// A coordinator's state on disk, where the next process goes on. Owned by the coordinator's daemon,
// on its thread.
class CoordinatorJournal final {
 public:
  // Makes the folder where there is none. An error where it belongs to another process, is damaged,
  // or has a job of another size.
  static Result<std::unique_ptr<CoordinatorJournal>> Open(const std::string& folder,
                                                          const CoordinatorOptions& options);

  // What the process before left; nothing where there was none.
  const std::optional<CoordinatorState>& before() const { return before_; }
  // Whether that one had decided a view.
  bool begun() const { return before_ && before_->decided.view.number.value > 0; }

  // Writes what has changed, and is on disk when this returns. After an error, or where the
  // coordinator is outdated, nothing that it said may be sent.
  Result<> Keep(Coordinator& coordinator);

 private:
  PosixFiles files_;
  std::optional<FileLock> lock_;  // Of a file beside the log, which no rewrite replaces.
  std::unique_ptr<RecordLog> log_;
  std::optional<CoordinatorState> before_;
};

}  // namespace shardmill
