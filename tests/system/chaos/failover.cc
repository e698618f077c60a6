// SIGKILL of a server at a random moment, or SIGSTOP until the others have gone on without it; each
// shard has a replica on another server, which takes its place. What was lost comes back, or
// another process in its place, and catches up; then another server may go. Now and then the
// coordinator is killed together with the server. And the same where servers are told to stop, one
// after the other, and have handed over what they have when they end.
#include <algorithm>

#include "tests/system/chaos/scenario.h"

namespace shardmill::chaos {
namespace {

struct Loss {
  bool stops = false;     // Else it is killed.
  bool together = false;  // With the coordinator.
  bool begun = false;     // There are steps to get on with.
  bool told = false;      // To stop, and does.
  bool counts = true;     // How long the others take to get on.
};

void LoseServer(Rng& rng, Cluster& cluster, size_t index, const Loss& loss) {
  const ClusterPlan& plan = cluster.plan();
  const uint64_t lost_ns = MonotonicNs();
  if (loss.stops) {
    cluster.Stop(cluster.server(index));
  } else if (loss.told) {
    cluster.StopServer(index);
  } else {
    cluster.KillServer(index);
  }
  if (loss.together) {
    cluster.KillCoordinator();
    LetPass(cluster, milliseconds(rng.Below(200)));
    cluster.RestartCoordinator();
    if (!cluster.AwaitCoordinator()) return;
  }
  // Where all replicas must be there, nobody gets on until they are.
  const bool goes_on = loss.begun && plan.min_in_sync < plan.replicas;
  // One that stands still is not missed before its lease ends.
  uint64_t missed_ns = lost_ns;
  if (loss.stops) missed_ns += static_cast<uint64_t>(std::chrono::nanoseconds(plan.lease).count());
  if (goes_on) AwaitNextAcks(cluster, missed_ns, plan.lease + kAdvanceLimit, loss.counts);
  LetPass(cluster, milliseconds(rng.Below(static_cast<uint64_t>(2 * plan.lease.count()))));
  const uint64_t back_ns = MonotonicNs();
  if (loss.stops) {
    cluster.Continue(cluster.server(index));
  } else {
    cluster.ReplaceServer(index);
  }
  if (loss.begun && !goes_on) AwaitNextAcks(cluster, back_ns, kAdvanceLimit, false);
}

// Before a job has begun there is nothing to lose: as long as a worker is missing.
void LoseServerAtStart(Rng& rng, Cluster& cluster) {
  const uint32_t last = cluster.plan().workers - 1;
  for (uint32_t rank = 0; rank < last; ++rank) cluster.StartWorker(rank);
  LetPass(cluster, milliseconds(rng.Below(300)));
  LoseServer(rng, cluster, rng.Below(cluster.plan().servers), {});
  cluster.StartWorker(last);
}

void Run(Rng& rng, Cluster& cluster) {
  const ClusterPlan& plan = cluster.plan();
  if (rng.Chance(0.1)) {
    LoseServerAtStart(rng, cluster);
  } else {
    for (uint32_t rank = 0; rank < plan.workers; ++rank) cluster.StartWorker(rank);
  }
  const uint64_t losses = 1 + rng.Below(3);
  for (uint64_t i = 0; i < losses; ++i) {
    AwaitMoment(rng, cluster, rng.Chance(0.1));
    AwaitCopies(cluster);
    if (IsOver(cluster, cluster.Status())) return;
    Loss loss{rng.Chance(0.2), rng.Chance(0.15), true};
    loss.counts = !loss.stops && !loss.together;
    LoseServer(rng, cluster, rng.Below(plan.servers), loss);
  }
}

// A server stands still until all have gone on without it.
void FallSilent(Rng& rng, Cluster& cluster) {
  const ClusterPlan& plan = cluster.plan();
  for (uint32_t rank = 0; rank < plan.workers; ++rank) cluster.StartWorker(rank);
  const uint64_t losses = 1 + rng.Below(2);
  for (uint64_t i = 0; i < losses; ++i) {
    AwaitMoment(rng, cluster, false);
    AwaitCopies(cluster);
    if (IsOver(cluster, cluster.Status())) return;
    LoseServer(rng, cluster, rng.Below(plan.servers), {.stops = true, .begun = true});
  }
}

// All of them, one after the other, as when another version is rolled out.
void Drain(Rng& rng, Cluster& cluster) {
  const ClusterPlan& plan = cluster.plan();
  for (uint32_t rank = 0; rank < plan.workers; ++rank) cluster.StartWorker(rank);
  for (size_t i = 0; i < plan.servers; ++i) {
    AwaitMoment(rng, cluster, false);
    AwaitCopies(cluster);
    if (IsOver(cluster, cluster.Status())) return;
    LoseServer(rng, cluster, i, {.begun = true, .told = true});
  }
}

void Shape(Rng& rng, ClusterPlan& plan) {
  plan.replicas = rng.Chance(0.25) ? 2 : 1;
  plan.servers = static_cast<uint32_t>(plan.replicas + 1 + rng.Below(2));
  plan.min_in_sync = rng.Chance(0.25) ? 1 : plan.replicas - 1;
  plan.keeps_state = true;
  plan.steps += 100;
  plan.think_us = 2000 + rng.Below(6000);
  if (rng.Chance(0.5)) plan.table_step = 2 + rng.Below(plan.steps / 3);
}

void ShapeOneSpare(Rng& rng, ClusterPlan& plan) {
  Shape(rng, plan);
  plan.min_in_sync = plan.replicas - 1;
}

}  // namespace

const Scenario kFailover{"failover", Shape, Run};
const Scenario kSilence{"silence", ShapeOneSpare, FallSilent};
const Scenario kDrain{"drain", Shape, Drain};

}  // namespace shardmill::chaos
