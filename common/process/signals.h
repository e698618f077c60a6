#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>

#include "common/result.h"

namespace shardmill {

enum class StopReason : uint8_t {
  kNone,
  kTerminate,  // SIGTERM: an orderly end, exit code 0 for a daemon.
  kInterrupt,  // Ctrl-C: the user wants out, exit code 130.
  kFailed,     // A part of this process cannot go on.
};

// Whether this process should end, and why; the first reason stays. Owned by main, outlives all
// loops that read it; any thread may call. The mutex guards `reason_`.
class StopSource final {
 public:
  bool requested() const { return reason() != StopReason::kNone; }
  StopReason reason() const;
  void Request(StopReason reason);

  // Waits until a stop is requested, `timeout` at most. Returns whether it is.
  bool WaitFor(std::chrono::milliseconds timeout) const;

 private:
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  StopReason reason_ = StopReason::kNone;
};

// Turns SIGTERM and SIGINT into a request to stop, ignores SIGPIPE, and ends the process at once
// with exit code 130 on a SIGINT that comes when a stop is under way. Made first thing in main, on
// the main thread, before any other thread is: they inherit its signal mask. It reads signals on a
// thread of its own, so that no code of ours runs inside a signal handler.
class SignalWatcher final {
  struct Impl;

 public:
  static Result<std::unique_ptr<SignalWatcher>> Start(StopSource* stop);
  explicit SignalWatcher(std::unique_ptr<Impl> impl);  // For Start.
  ~SignalWatcher();
  SignalWatcher(const SignalWatcher&) = delete;
  SignalWatcher& operator=(const SignalWatcher&) = delete;

 private:
  std::unique_ptr<Impl> impl_;
};

// The signals that a SignalWatcher takes over are blocked; a child gets them back by this. Safe to
// call between fork and exec.
void RestoreSignals();

}  // namespace shardmill
