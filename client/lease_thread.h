#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <thread>

#include "client/lease_keeper.h"
#include "common/messages.h"
#include "common/net/transport.h"
#include "common/published.h"
#include "common/wire/wire.h"

namespace shardmill {

// The thread that renews a rank's lease while the session's own thread computes. Owned by a
// Session. It has a transport of its own and shares nothing with the session but a stop flag and
// what it has found out.
class LeaseThread final {
 public:
  // `transport` must not be connected yet. Fails when it cannot connect at all.
  static Result<std::unique_ptr<LeaseThread>> Start(std::unique_ptr<Transport> transport,
                                                    const std::string& coordinator, Sender sender,
                                                    Stamp stamp, Duration every,
                                                    const WireLimits& limits);
  ~LeaseThread();
  LeaseThread(const LeaseThread&) = delete;
  LeaseThread& operator=(const LeaseThread&) = delete;

  std::optional<Error> failure() const { return failure_.Get(); }
  // How long the coordinator has not answered.
  std::chrono::milliseconds silent() const {
    return std::chrono::milliseconds(silent_ms_.load(std::memory_order_relaxed));
  }

 private:
  LeaseThread(std::unique_ptr<Transport> transport, const LeaseKeeper& keeper,
              const WireLimits& limits);
  void Run();

  std::unique_ptr<Transport> transport_;  // Used by the thread alone.
  LeaseKeeper keeper_;                    // The same.
  WireLimits limits_;
  Published<std::optional<Error>> failure_;
  std::atomic<int64_t> silent_ms_{0};  // Written by the thread.
  std::atomic<bool> stop_{false};      // Asks the thread to end.
  std::thread thread_;
};

}  // namespace shardmill
