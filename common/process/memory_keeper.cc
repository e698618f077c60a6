#include "common/process/memory_keeper.h"

#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>

#include "common/process/priority.h"

namespace shardmill {
namespace {

constexpr size_t kStackBytes = size_t{16} << 10;

// Under it the child was seen to crash before it had begun; why is not known.
#ifdef __SANITIZE_THREAD__
constexpr bool kThreadSanitizer = true;
#else
constexpr bool kThreadSanitizer = false;
#endif

// The system's own calls. Those of the C library use what belongs to the thread: errno, at least,
// and the loader's locks on the way to them.
__attribute__((always_inline)) inline int64_t Call(int64_t number, uint64_t a = 0, uint64_t b = 0,
                                                   uint64_t c = 0) {
  int64_t result = number;
  asm volatile("syscall" : "+a"(result) : "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
  return result;
}

// Runs in the parent's memory, and with all that its thread has of its own. All signals are blocked
// but those that end it.
__attribute__((no_sanitize("address", "thread", "undefined"))) int Sleep(void* parent) {
  Call(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL);
  Call(SYS_close_range, 0, ~0U);
  Call(SYS_setsid);  // What is sent to the parent's group is not for it.
  Call(SYS_setpriority, PRIO_PROCESS, 0, kLowPriority);
  const bool late = Call(SYS_getppid) != *static_cast<const pid_t*>(parent);
  while (!late) Call(SYS_pause);
  Call(SYS_exit);
  return 0;
}

}  // namespace

MemoryKeeper::MemoryKeeper()
    : stack_(
          mmap(nullptr, kStackBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)),
      parent_(getpid()) {
  if (stack_ == MAP_FAILED || kThreadSanitizer) return;
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  // No signal when it ends: nobody has to wait for it.
  pid_ = clone(&Sleep, static_cast<std::byte*>(stack_) + kStackBytes, CLONE_VM, &parent_);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

MemoryKeeper::~MemoryKeeper() {
  if (pid_ >= 0) {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, __WALL);
  }
  if (stack_ != MAP_FAILED) munmap(stack_, kStackBytes);
}

}  // namespace shardmill
