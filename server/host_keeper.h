#pragma once

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "common/clock.h"
#include "common/messages.h"
#include "common/result.h"

namespace shardmill {

struct HostOptions {
  uint32_t index = 0;
  BootId boot;
  PeerId coordinator;
  Duration retry_after = std::chrono::milliseconds(500);
  Duration ask_every = std::chrono::seconds(1);
  Duration start_timeout = std::chrono::seconds(60);  // For the coordinator to answer.
};

// A server's own word with the coordinator: says that it is there, and hears which copies of shards
// it is to hold. Messages and `now` in, messages out. Owned by one agent, on its thread.
class HostKeeper final {
 public:
  explicit HostKeeper(const HostOptions& options) : options_(options) {}

  void Handle(TimePoint now, const Envelope& envelope, Outbox& outbox);
  void Tick(TimePoint now, Outbox& outbox);
  // The process is to stop, and says so from now on.
  void Leave() {
    leaving_ = true;
    asked_at_.reset();
  }

  // Copies that are there and cannot say so; see Host.
  void SetBusy(std::vector<BootId> busy) { busy_ = std::move(busy); }

  // What the server is to hold, once it has heard.
  const std::optional<Hosting>& hosting() const { return hosting_; }
  // Set for good where the coordinator does not let this server in, or does not answer.
  const std::optional<Error>& failure() const { return failure_; }

 private:
  void Take(const Refused& refused, const Stamp& stamp);
  void Send(Message message, Outbox& outbox) const;

  HostOptions options_;
  JobId job_;
  BootId coordinator_boot_;
  Term coordinator_term_;
  bool leaving_ = false;
  std::vector<BootId> busy_;
  std::optional<TimePoint> began_at_;
  std::optional<TimePoint> asked_at_;
  std::optional<Hosting> hosting_;
  std::optional<Error> failure_;
};

}  // namespace shardmill
