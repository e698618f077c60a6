#pragma once

#include <cstdint>

#include "common/clock.h"
#include "common/rng.h"
#include "common/view.h"
#include "sim/network.h"

namespace shardmill::sim {

// What one history is made of. All of it follows from the seed (see Scenario::FromSeed).
struct Scenario {
  uint64_t seed = 0;
  uint32_t workers = 2;
  uint32_t shards = 2;
  uint32_t replicas = 0;  // Of each.
  Step steps = 10;
  Policy policy;
  NetworkFaults faults;
  double crash = 0;  // Chance of a worker's crash, each millisecond, while faults last.
  // Chance that a worker stands still for longer than its lease, and is replaced.
  double pause = 0;
  double twin = 0;     // Chance that a second process is started for a rank that is held.
  double restart = 0;  // Chance that the coordinator ends, and is started again.
  double stall = 0;    // Chance that it stands still for up to one lease and a half.
  double relink = 0;   // Chance that a link breaks, and its other end is known by a new number.
  bool wire = false;   // Messages are bytes on their way.
  bool keys = false;   // All nodes have keys, every other rank one of its own; a thief has one too.
  Duration snapshot_every{};  // 0: no snapshots.
  double disk_crash = 0;      // Chance that the disk dies.
  double ruin = 0;        // Chance that everything is killed, and begins from the last snapshot.
  double lose_shard = 0;  // Chance that a shard's process is gone, and another takes its place.
  double cut_off = 0;     // Chance that one and the coordinator do not hear each other for a while.
  bool logs = false;      // Shards keep logs.
  double sync_fails = 0;  // Chance that a disk with a log does not take what was written.
  double power_cut = 0;   // Chance that everything is killed, and the power is gone.
  double leave = 0;       // Chance that one is told to stop.
  double bad_link = 0;    // Chance that a link gets bad, or is cut, one way or both, for a while.
  // Chance that shards are spread over the servers anew, or away from one; and so many servers
  // begin without any.
  double move = 0;
  uint32_t spare_servers = 0;
  uint64_t rows = 0;  // Of the data, where it is leased.
  uint64_t epochs = 1;
  uint64_t chunk = 1;
  uint32_t workers_max = 0;  // Where workers come and go; 0: they stay.
  bool any_rank = false;     // They do not say which rank they want.
  double join = 0;           // Chance of one more worker.
  Duration faults_last = std::chrono::milliseconds(400);
  // All must be done so long after the faults, or half of it after the last step that was made.
  Duration heal_limit = std::chrono::seconds(10);

  bool leased() const { return rows > 0; }
  bool elastic() const { return workers_max > 0; }
  // Ranks that there may be.
  uint32_t ranks() const;
  static Scenario FromSeed(uint64_t seed);

 private:
  void Lease(Rng& rng);
};

}  // namespace shardmill::sim
