#pragma once

#include <optional>
#include <vector>

#include "client/lease_keeper.h"
#include "client/ps_client.h"
#include "common/clock.h"
#include "common/messages.h"
#include "common/rng.h"
#include "sim/ledger.h"

namespace shardmill::sim {

// One life of one simulated worker process: the real client core, driven by the probe model. It
// joins, makes its steps one after the other, and says goodbye. Owned by a Cluster.
class ProbeWorker final {
 public:
  struct Options {
    WorkerId rank;
    BootId boot;
    uint32_t workers = 1;
    uint32_t shards = 1;
    Step steps = 1;
    Duration lease = std::chrono::seconds(1);
    uint64_t seed = 0;
  };

  ProbeWorker(const Options& options, PeerId coordinator, Ledger& ledger);

  // `peer_of_shard(i)` is i + first_shard: in the simulator everybody can reach everybody.
  void Handle(TimePoint now, const Envelope& envelope, Outbox& outbox);
  void Tick(TimePoint now, Outbox& outbox);

  bool left() const { return client_.left(); }
  const PsClient& client() const { return client_; }

 private:
  enum class Phase : uint8_t { kJoining, kTable, kCompute, kPull, kEnd, kLeaving };

  void Advance(TimePoint now, Outbox& outbox);
  void BeginPull(TimePoint now, Outbox& outbox);
  void PushAndEnd(TimePoint now, Outbox& outbox);

  Options options_;
  PeerId coordinator_;
  Ledger& ledger_;
  Rng rng_;
  PsClient client_;
  std::optional<LeaseKeeper> lease_;
  Phase phase_ = Phase::kJoining;
  TimePoint compute_until_{};
  Ticket pull_;
  std::vector<float> probe_;
};

}  // namespace shardmill::sim
