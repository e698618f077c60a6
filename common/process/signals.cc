#include "common/process/signals.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <system_error>
#include <thread>

#include "common/process/exit_code.h"
#include "common/process/file_descriptor.h"

namespace shardmill {
namespace {

sigset_t WatchedSignals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  return set;
}

void Watch(int signals, int end, StopSource* stop) {
  std::array<pollfd, 2> polled = {{{signals, POLLIN, 0}, {end, POLLIN, 0}}};
  while (true) {
    if (poll(polled.data(), polled.size(), -1) < 0) continue;
    if (polled[1].revents != 0) return;
    signalfd_siginfo info{};
    if (read(signals, &info, sizeof info) != sizeof info) continue;
    if (info.ssi_signo == SIGINT) {
      // The user has asked before, or does not want to wait for an end that is under way.
      if (stop->requested()) _exit(static_cast<int>(ExitCode::kStopped));
      stop->Request(StopReason::kInterrupt);
    } else {
      stop->Request(StopReason::kTerminate);
    }
  }
}

}  // namespace

StopReason StopSource::reason() const {
  const std::scoped_lock lock(mutex_);
  return reason_;
}

void StopSource::Request(StopReason reason) {
  const std::scoped_lock lock(mutex_);
  if (reason_ == StopReason::kNone) reason_ = reason;
  changed_.notify_all();
}

bool StopSource::WaitFor(std::chrono::milliseconds timeout) const {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, timeout, [this] { return reason_ != StopReason::kNone; });
}

struct SignalWatcher::Impl {
  FileDescriptor signals;
  FileDescriptor end;
  std::thread thread;
};

SignalWatcher::SignalWatcher(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Result<std::unique_ptr<SignalWatcher>> SignalWatcher::Start(StopSource* stop) {
  const sigset_t set = WatchedSignals();
  auto impl = std::make_unique<Impl>();
  std::signal(SIGPIPE, SIG_IGN);
  const int failed = pthread_sigmask(SIG_BLOCK, &set, nullptr);
  impl->signals = FileDescriptor(signalfd(-1, &set, SFD_CLOEXEC));
  impl->end = FileDescriptor(eventfd(0, EFD_CLOEXEC));
  if (failed != 0 || !impl->signals.valid() || !impl->end.valid()) {
    return Error{ErrorCode::kFailed, "cannot watch signals: " +
                                         std::generic_category().message(failed ? failed : errno)};
  }
  impl->thread = std::thread(
      [signals = impl->signals.get(), end = impl->end.get(), stop] { Watch(signals, end, stop); });
  return std::make_unique<SignalWatcher>(std::move(impl));
}

SignalWatcher::~SignalWatcher() {
  const uint64_t one = 1;
  // An eventfd that was just made has room for one, so this cannot fail.
  SM_ASSERT(write(impl_->end.get(), &one, sizeof one) == sizeof one);
  impl_->thread.join();
}

void RestoreSignals() {
  const sigset_t set = WatchedSignals();
  sigprocmask(SIG_UNBLOCK, &set, nullptr);
  signal(SIGPIPE, SIG_DFL);
}

}  // namespace shardmill
