#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "common/rng.h"
#include "tests/system/chaos/cluster.h"

namespace shardmill::chaos {

struct Trial;
struct TrialPlaces;

// One kind of trouble, and all that is its own: what the cluster is, what is done to it, and what
// must hold meanwhile. What must hold of every trial (all steps made, none lost, none twice, every
// process ended as it should) is checked when `run` has come back.
struct Scenario {
  std::string_view name = {};
  // Changes the cluster that was drawn to one that the trouble is for.
  void (*shape)(Rng& rng, ClusterPlan& plan) = nullptr;
  // Starts the workers, makes the trouble, and mends it. It ends at the cluster's first violation.
  void (*run)(Rng& rng, Cluster& cluster) = nullptr;
  // Where there is no cluster: all of a trial.
  void (*alone)(uint64_t seed, const TrialPlaces& places, Trial& trial) = nullptr;
  bool own_network = false;  // It takes one that it may change.
};

extern const Scenario kWorkerKill;           // worker_kill.cc
extern const Scenario kStop;                 // stop.cc
extern const Scenario kTwin;                 // twin.cc
extern const Scenario kCoordinatorKill;      // coordinator_kill.cc
extern const Scenario kStrangers;            // strangers.cc
extern const Scenario kServerKill;           // server_kill.cc
extern const Scenario kSnapshotKill;         // snapshot_kill.cc
extern const Scenario kSnapshotKillDaemons;  // The same.
extern const Scenario kElastic;              // elastic.cc
extern const Scenario kFailover;             // failover.cc
extern const Scenario kSilence;              // The same.
extern const Scenario kDrain;                // The same.
extern const Scenario kRebalance;            // rebalance.cc
extern const Scenario kCorrupt;              // corrupt.cc
extern const Scenario kDiskFull;             // disk.cc
extern const Scenario kClock;                // The same.
extern const Scenario kDiskKill;             // logs.cc
extern const Scenario kPowerCut;             // The same.
extern const Scenario kSoak;                 // soak.cc
extern const Scenario kPartition;            // partition.cc
extern const Scenario kSplit;                // The same.
extern const Scenario kHosts;                // The same.

std::span<const Scenario* const> Scenarios();
const Scenario* FindScenario(std::string_view name);  // Or null.

// A signal at any phase of a step in the first half of the training.
Aim DrawAim(Rng& rng, const ClusterPlan& plan, int signal);

// Makes it a job whose workers lease its data, and come and go.
void LeaseData(Rng& rng, ClusterPlan& plan);

// In the training, or when a rank has made all its steps.
void AwaitMoment(Rng& rng, Cluster& cluster, bool at_end);
// Nobody has anything to get on with any more.
bool IsOver(const Cluster& cluster, const std::optional<JobStatus>& status);
// Until every shard has all its replicas, so that a server may be lost.
void AwaitCopies(Cluster& cluster);
// Until all ranks get on; how long that took since then, where it is to be counted.
void AwaitNextAcks(Cluster& cluster, uint64_t from_ns, milliseconds limit, bool counts);

// The disk under the coordinator's log has a fault when there is something to decide, the next
// process of a rank: the coordinator ends and says why, and the next one goes on. disk.cc
void LoseCoordinatorLog(Rng& rng, Cluster& cluster, DiskFault fault, uint32_t rank);
// The disk under the shards' logs has a fault: nothing is acknowledged, until all have a log again.
void LoseShardLogs(Rng& rng, Cluster& cluster, DiskFault fault);

// `shardmill rebalance`, with the coordinator killed and started again now and then: whatever comes
// between, the command ends when the shards are where they should be. rebalance.cc
void MoveShards(Rng& rng, Cluster& cluster, const std::vector<size_t>& drained);
// All is taken from a server, which has nothing any more.
void DrainServer(Rng& rng, Cluster& cluster, size_t index);

// Of all ranks, the last steps that were acknowledged, added up.
uint64_t AckedByAll(const Cluster& cluster);

// Lets the time pass, unless the trial fails.
void LetPass(Cluster& cluster, milliseconds time);
// The same without a coordinator, whom nobody needs for a step: it is a violation where nobody gets
// on.
void ExpectProgress(Cluster& cluster, milliseconds time);

}  // namespace shardmill::chaos
