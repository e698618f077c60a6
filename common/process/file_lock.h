#pragma once

#include <string>
#include <utility>

#include "common/process/file_descriptor.h"
#include "common/result.h"

namespace shardmill {

// A file that one process has locked: no other gets it before this is gone, or its process is,
// however that ends. The file stays. Owned by whoever needs it; any thread.
class FileLock final {
 public:
  // Makes the file where there is none; its folder must be there. kUnavailable: another process
  // has it.
  static Result<FileLock> Take(const std::string& path);

 private:
  explicit FileLock(FileDescriptor file) : file_(std::move(file)) {}

  FileDescriptor file_;
};

}  // namespace shardmill
