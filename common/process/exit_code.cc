#include "common/process/exit_code.h"

namespace shardmill {

const char* ExitCodeWords(int code) {
  switch (static_cast<ExitCode>(code)) {
    case ExitCode::kDone:
      return "done";
    case ExitCode::kFailed:
      return "failed while running";
    case ExitCode::kBadUsage:
      return "bad usage or configuration";
    case ExitCode::kFenced:
      return "another process holds this rank";
    case ExitCode::kUnavailable:
      return "a peer or a file was not there in time";
    case ExitCode::kUnsaved:
      return "the job is done, and its last snapshot is lost";
    case ExitCode::kStopped:
      return "stopped by the user";
  }
  return "";
}

}  // namespace shardmill
