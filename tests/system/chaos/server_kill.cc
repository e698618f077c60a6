// SIGKILL of a server without replicas at a random moment, once or twice, and another process in
// its place; or SIGSTOP, and the old one finds its shards taken when it goes on. The job goes back
// to its last snapshot, and nobody else is started again. Now and then the coordinator is killed
// together with the server, and in some trials the workers lease their data.
#include <algorithm>

#include "tests/system/chaos/scenario.h"

namespace shardmill::chaos {
namespace {

enum class When : uint8_t { kStart, kTraining, kEnd, kCount };

void AwaitMoment(Rng& rng, Cluster& cluster, When when) {
  const ClusterPlan& plan = cluster.plan();
  if (when == When::kStart) return LetPass(cluster, milliseconds(rng.Below(300)));
  if (when == When::kTraining) {
    const auto rank = static_cast<uint32_t>(rng.Below(plan.workers));
    cluster.AwaitStep(rank, 1 + rng.Below(plan.rows > 0 ? plan.rows / 20 : plan.steps * 3 / 4));
    return cluster.Pass(milliseconds(rng.Below(10)));
  }
  cluster.Await("a worker has read the end", kTroubleLimit, [&] {
    return std::ranges::any_of(
        cluster.lives(), [](const auto& life) { return life->Find(Event::kFinal) != nullptr; });
  });
  cluster.Pass(milliseconds(rng.Below(10)));
}

// How often the job has gone back, as far as it is known to have a view; nothing where it is over,
// and nobody would notice any more.
std::optional<uint64_t> Rollbacks(const Cluster& cluster) {
  const std::optional<JobStatus> status = cluster.Status();
  if (!status || status->view == 0 || status->state == JobStatus::State::kDone) return {};
  return status->rollbacks;
}

void LoseServer(Rng& rng, Cluster& cluster, size_t index) {
  const std::optional<uint64_t> before = Rollbacks(cluster);
  if (!before) return;
  const auto lease = static_cast<uint64_t>(cluster.plan().lease.count());
  const bool stops = rng.Chance(0.25);
  if (stops) {
    cluster.Stop(cluster.server(index));
  } else {
    cluster.KillServer(index);
  }
  const bool together = rng.Chance(1.0 / 3);
  if (together) cluster.KillCoordinator();
  LetPass(cluster, milliseconds(rng.Chance(0.5) ? 0 : rng.Below(2 * lease)));
  if (together) {
    cluster.RestartCoordinator();
    if (!cluster.AwaitCoordinator()) return;
  }
  std::unique_ptr<Child> old = cluster.ReplaceServer(index);
  for (uint32_t rank = 0; rank < cluster.plan().workers; ++rank) cluster.Healed(rank);
  bool done = false;
  cluster.Await("the job goes back", kAdvanceLimit, [&] {
    const std::optional<JobStatus> now = cluster.Status();
    done = now && now->state == JobStatus::State::kDone;
    return done || (now && now->rollbacks > *before);
  });
  // It was over before: nobody needs a new server.
  if (done) return cluster.KillServer(index);
  if (!stops) return;
  cluster.Continue(*old);
  cluster.Await("the old server ends", kAdvanceLimit, [&] { return old->Poll().has_value(); });
  const std::optional<ExitStatus> ended = old->Poll();
  if (ended == ExitStatus{.code = 3}) return;
  cluster.Violation("a server whose shards were taken ended with " +
                    (ended ? ExitWords(*ended) : "nothing"));
}

void Run(Rng& rng, Cluster& cluster) {
  const ClusterPlan& plan = cluster.plan();
  for (uint32_t rank = 0; rank < plan.workers; ++rank) cluster.StartWorker(rank);
  const uint64_t losses = rng.Chance(0.3) ? 2 : 1;
  for (uint64_t i = 0; i < losses; ++i) {
    AwaitMoment(rng, cluster, static_cast<When>(rng.Below(static_cast<uint64_t>(When::kCount))));
    LoseServer(rng, cluster, rng.Below(plan.servers));
  }
}

void Shape(Rng& rng, ClusterPlan& plan) {
  plan.servers = static_cast<uint32_t>(2 + rng.Below(2));
  plan.keeps_state = true;
  plan.snapshot_every = milliseconds(20 + rng.Below(300));
  plan.steps += 40;
  plan.think_us = 2000 + rng.Below(6000);
  if (rng.Chance(0.5)) plan.table_step = 2 + rng.Below(plan.steps / 3);
  if (rng.Chance(0.3)) LeaseData(rng, plan);
}

}  // namespace

const Scenario kServerKill{"server-kill", Shape, Run};

}  // namespace shardmill::chaos
