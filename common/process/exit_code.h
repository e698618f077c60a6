#pragma once

#include "common/result.h"

namespace shardmill {

// What a process of ours tells the one that started it. Manifests and scripts rely on the numbers.
enum class ExitCode : int {
  kDone = 0,
  kFailed = 1,       // While running.
  kBadUsage = 2,     // Flags, the job file or this machine: do not restart.
  kFenced = 3,       // Another process holds this rank: do not restart.
  kUnavailable = 4,  // A peer or a file was not there in time: a restart may help.
  kUnsaved = 5,      // The job is done, and its last snapshot is lost: do not restart.
  kStopped = 130,    // By the user.
};

constexpr ExitCode ExitCodeOf(ErrorCode code) {
  switch (code) {
    case ErrorCode::kBadUsage:
      return ExitCode::kBadUsage;
    case ErrorCode::kFailed:
    case ErrorCode::kBadInput:
    case ErrorCode::kRolledBack:  // Of who does not go on.
      return ExitCode::kFailed;
    case ErrorCode::kFenced:
      return ExitCode::kFenced;
    case ErrorCode::kUnavailable:
      return ExitCode::kUnavailable;
    case ErrorCode::kDone:
      return ExitCode::kDone;
    case ErrorCode::kUnsaved:
      return ExitCode::kUnsaved;
    case ErrorCode::kStopped:
      return ExitCode::kStopped;
  }
  return ExitCode::kFailed;
}

// What an exit code means, in words; empty for one that is not ours.
const char* ExitCodeWords(int code);

}  // namespace shardmill
