#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "common/clock.h"
#include "common/rng.h"
#include "server/coordinator.h"
#include "server/shard.h"
#include "sim/ledger.h"
#include "sim/network.h"
#include "sim/probe_worker.h"

namespace shardmill::sim {

// What one history is made of. All of it follows from the seed (see Scenario::FromSeed).
struct Scenario {
  uint64_t seed = 0;
  uint32_t workers = 2;
  uint32_t shards = 2;
  Step steps = 10;
  Policy policy;
  NetworkFaults faults;
  double crash = 0;  // Chance of a worker's crash, each millisecond, while faults last.
  double pause =
      0;  // Chance that a worker stands still for longer than its lease, and is replaced.
  Duration faults_last = std::chrono::milliseconds(400);
  Duration heal_limit = std::chrono::seconds(10);  // All must be done this long after.

  static Scenario FromSeed(uint64_t seed);
};

// What became of a history.
struct Outcome {
  std::vector<std::string> violations;
  uint64_t events = 0;
  uint64_t crashes = 0;
  uint64_t replaced = 0;
  uint64_t stale_shards = 0;  // Shards that served a read behind its round.
};

// A whole cluster in one thread: the real coordinator, shards and client cores under simulated
// time, network and chance. One history a cluster; the seed decides everything.
class Cluster final {
 public:
  explicit Cluster(const Scenario& scenario);

  Outcome Run();

 private:
  // A worker process; a crashed one is gone, a paused one comes back as a zombie.
  struct Process {
    PeerId peer;
    WorkerId rank;
    std::unique_ptr<ProbeWorker> worker;
    TimePoint paused_until{};
    bool zombie = false;
  };

  void StartWorker(WorkerId rank);
  void Deliver(const Delivery& delivery);
  void DeliverToShard(uint32_t index, const Envelope& envelope, Outbox& outbox);
  void TickAll();
  void InjectFaults();
  bool Finished() const;
  void CheckAtRest();
  std::string StuckWords() const;

  Scenario scenario_;
  Rng rng_;
  Network network_;
  Ledger ledger_;
  TimePoint now_{};
  TimePoint start_{};
  bool healed_ = false;
  std::unique_ptr<Coordinator> coordinator_;
  std::vector<std::unique_ptr<Shard>> shards_;
  std::vector<Process> processes_;
  uint64_t next_peer_;
  uint64_t next_boot_ = 1000;
  Outcome outcome_;
};

}  // namespace shardmill::sim
