#pragma once

#include <sys/types.h>

namespace shardmill {

// A child that shares this process's memory and nothing else, and sleeps. The system closes the
// connections of a process that is killed only after it has taken its memory back, which takes
// tenths of a second for gigabytes of small pages; as long as the child has the memory too, its
// peers learn of the death at once. It is killed when its parent is gone, and the memory goes with
// it. Owned by main: the child goes with the thread that made it.
class MemoryKeeper final {
 public:
  // Does nothing where the system does not let it.
  MemoryKeeper();
  ~MemoryKeeper();
  MemoryKeeper(const MemoryKeeper&) = delete;
  MemoryKeeper& operator=(const MemoryKeeper&) = delete;

  pid_t pid() const { return pid_; }  // -1: there is none.

 private:
  void* stack_;
  pid_t parent_;
  pid_t pid_ = -1;
};

}  // namespace shardmill
