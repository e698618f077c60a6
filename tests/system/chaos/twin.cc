// Two live processes for one rank, in the orders in which that happens. The older has no effect
// after the fence, ends with exit code 3, and does not come back.
#include <csignal>

#include "tests/system/chaos/scenario.h"

namespace shardmill::chaos {
namespace {

enum class Order : uint8_t {
  kBothAtStart,        // One of them waits, to the end or until the other is killed.
  kWhileFirstTrains,   // The second waits likewise.
  kAfterFirstSlept,    // The second comes when the lease of the first, which was stopped, is over.
  kBeforeFirstSleeps,  // The second waits already when the first is stopped.
  kCoordinatorSleeps,  // Nobody can renew: the second may come in, or not.
};
constexpr uint64_t kOrders = 5;

void AwaitGrant(Cluster& cluster, const Life& life) {
  cluster.Await("the second process has the rank", kTroubleLimit,
                [&] { return life.Find(Event::kGranted) != nullptr; });
}

// Whichever of the two has the rank is killed, and the other goes on.
void KillHolder(Rng& rng, Cluster& cluster, Life& first, Life& second) {
  cluster.AwaitStep(first.rank, 1 + rng.Below(cluster.plan().steps / 2));
  Life& holder = first.Find(Event::kGranted) != nullptr ? first : second;
  cluster.Kill(holder);
  cluster.Healed(first.rank);
}

// Nobody has made a step since the older process slept, nor can anybody but the shards tell it that
// it has lost the rank.
void WakeAlone(Cluster& cluster, Life& first, Life& second) {
  cluster.Stop(*second.child);
  cluster.Stop(cluster.coordinator());
  cluster.Continue(*first.child);
  cluster.Await("the shards turn the older process away", milliseconds(20'000),
                [&] { return first.ended.has_value(); });
  cluster.Continue(cluster.coordinator());
  cluster.Continue(*second.child);
}

void Sleep(Rng& rng, Cluster& cluster, Order order, Life& first) {
  cluster.AwaitStop(first);
  Life* second = nullptr;
  if (order == Order::kAfterFirstSlept) {
    cluster.Pass(milliseconds(rng.Below(static_cast<uint64_t>(2 * cluster.plan().lease.count()))));
    second = &cluster.StartWorker(first.rank);
  } else {
    for (const auto& life : cluster.lives()) {
      if (life->rank == first.rank && life.get() != &first) second = life.get();
    }
  }
  cluster.Healed(first.rank);
  const double way = rng.Uniform();
  if (way < 0.25) {  // It wakes when its lease is about to end, or has just ended.
    const auto lease = static_cast<uint64_t>(cluster.plan().lease.count());
    cluster.Pass(milliseconds(lease / 2 + rng.Below(lease)));
    cluster.Continue(*first.child);
    return;
  }
  AwaitGrant(cluster, *second);
  if (way < 0.6) return WakeAlone(cluster, first, *second);
  if (way < 0.8) cluster.AwaitStep(first.rank, cluster.Acked(first.rank) + 1);
  cluster.Continue(*first.child);
}

void Run(Rng& rng, Cluster& cluster) {
  const ClusterPlan& plan = cluster.plan();
  const auto order = static_cast<Order>(rng.Below(kOrders));
  const auto rank = static_cast<uint32_t>(rng.Below(plan.workers));
  const bool sleeps = order == Order::kAfterFirstSlept || order == Order::kBeforeFirstSleeps;
  Aim aim = sleeps ? DrawAim(rng, plan, SIGSTOP) : Aim{};
  if (aim.phase == Phase::kJoining) aim.phase = Phase::kEnding;  // It has the rank by then.
  Life& first = cluster.StartWorker(rank, aim);
  Life* second = order == Order::kBothAtStart ? &cluster.StartWorker(rank) : nullptr;
  for (uint32_t other = 0; other < plan.workers; ++other) {
    if (other != rank) cluster.StartWorker(other);
  }
  if (second == nullptr && order != Order::kAfterFirstSlept) {
    cluster.Await("the first process trains", kTroubleLimit,
                  [&] { return first.Find(Event::kGranted) != nullptr; });
    second = &cluster.StartWorker(rank);
  }
  if (sleeps) {
    Sleep(rng, cluster, order, first);
  } else if (order == Order::kCoordinatorSleeps) {
    cluster.AwaitStep(rank, 1 + rng.Below(plan.steps / 3));
    cluster.Stop(cluster.coordinator());
    cluster.Pass(plan.lease + milliseconds(rng.Below(300)));
    cluster.Continue(cluster.coordinator());
    cluster.Healed(rank);
  } else if (rng.Chance(0.5)) {
    KillHolder(rng, cluster, first, *second);
  }
}

void Shape(Rng& rng, ClusterPlan& plan) { plan.think_us = 2000 + rng.Below(6000); }

}  // namespace

const Scenario kTwin{"twin", Shape, Run};

}  // namespace shardmill::chaos
