// SIGSTOP of a worker, a server or the coordinator, for a part of the lease or long beyond it, and
// SIGCONT. Where a stopped worker's rank was given to another process, it finds itself fenced.
#include <csignal>

#include "tests/system/chaos/scenario.h"

namespace shardmill::chaos {
namespace {

enum class Target : uint8_t { kWorker, kServer, kCoordinator };

milliseconds DrawTime(Rng& rng, const ClusterPlan& plan) {
  const auto lease = static_cast<uint64_t>(plan.lease.count());
  if (plan.seed % 10 == 9) return milliseconds(5000 + rng.Below(25'000));
  if (rng.Chance(0.4)) return milliseconds(20 + rng.Below(lease));
  return milliseconds(lease + rng.Below(3 * lease));
}

void StopWorker(Rng& rng, Cluster& cluster, Life& life, milliseconds time) {
  cluster.AwaitStop(life);
  const bool beyond = time > cluster.plan().lease;
  const bool replaced = beyond && rng.Chance(0.6);
  Life* next = replaced ? &cluster.StartWorker(life.rank) : nullptr;
  LetPass(cluster, time);
  if (replaced && rng.Chance(0.7)) {
    cluster.Await("another process has the rank", kTroubleLimit,
                  [&] { return next->Find(Event::kGranted) != nullptr; });
  }
  cluster.Continue(*life.child);
}

void Run(Rng& rng, Cluster& cluster) {
  const ClusterPlan& plan = cluster.plan();
  const auto target = static_cast<Target>(rng.Below(3));
  const milliseconds time = DrawTime(rng, plan);
  const auto victim = static_cast<uint32_t>(rng.Below(plan.workers));
  const uint64_t step = rng.Below(plan.steps / 3);
  const bool goes_on = target == Target::kCoordinator && step > 0;
  Life* stopped = nullptr;
  for (uint32_t rank = 0; rank < plan.workers; ++rank) {
    const bool aimed = target == Target::kWorker && rank == victim;
    Life& life = cluster.StartWorker(rank, aimed ? DrawAim(rng, plan, SIGSTOP) : Aim{});
    if (aimed) stopped = &life;
  }
  if (target == Target::kWorker) {
    StopWorker(rng, cluster, *stopped, time);
  } else {
    cluster.AwaitStep(victim, step);
    cluster.Pass(milliseconds(rng.Below(4)));
    Child& child =
        target == Target::kServer ? cluster.server(rng.Below(plan.servers)) : cluster.coordinator();
    cluster.Stop(child);
    if (goes_on) {
      ExpectProgress(cluster, time);
    } else {
      LetPass(cluster, time);
    }
    cluster.Continue(child);
  }
  const bool all_wait =
      target == Target::kWorker ? plan.mode == "sync" && plan.backups == 0 : !goes_on;
  for (uint32_t rank = 0; rank < plan.workers; ++rank) {
    const bool stood = target == Target::kWorker && rank == victim;
    if (all_wait || stood) cluster.Healed(rank);
  }
}

void Shape(Rng& rng, ClusterPlan& plan) {
  plan.steps += 40;
  plan.think_us = 2000 + rng.Below(6000);  // So that there is something to get on with.
}

}  // namespace

const Scenario kStop{"stop", Shape, Run};

}  // namespace shardmill::chaos
