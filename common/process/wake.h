#pragma once

#include <sys/eventfd.h>

#include "common/assert.h"
#include "common/process/file_descriptor.h"

namespace shardmill {

// A file that can be read from Signal until Clear, for who polls files beside other work. Any
// thread may signal; one clears.
class Wake final {
 public:
  Wake() : file_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) { SM_ASSERT(file_.valid()); }

  int file() const { return file_.get(); }
  // Both have nothing to do where the file is as they would have it.
  void Signal() const { static_cast<void>(eventfd_write(file_.get(), 1)); }
  void Clear() const {
    eventfd_t count = 0;
    static_cast<void>(eventfd_read(file_.get(), &count));
  }

 private:
  FileDescriptor file_;
};

}  // namespace shardmill
