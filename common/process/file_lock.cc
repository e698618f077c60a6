#include "common/process/file_lock.h"

#include <fcntl.h>
#include <sys/file.h>

#include <cerrno>
#include <system_error>

namespace shardmill {

Result<FileLock> FileLock::Take(const std::string& path) {
  const auto failed = [&](const char* what) {
    return Error{ErrorCode::kFailed,
                 path + ": " + what + ": " + std::generic_category().message(errno)};
  };
  FileDescriptor file(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
  if (!file.valid()) return failed("it cannot be opened");
  if (flock(file.get(), LOCK_EX | LOCK_NB) == 0) return FileLock(std::move(file));
  if (errno != EWOULDBLOCK) return failed("it cannot be locked");
  return Error{ErrorCode::kUnavailable, path + ": another process has locked it"};
}

}  // namespace shardmill
