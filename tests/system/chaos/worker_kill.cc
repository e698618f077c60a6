// SIGKILL of one or several workers, at any phase, and each started again under its rank; some are
// killed again as they come back.
#include <algorithm>
#include <csignal>
#include <vector>

#include "tests/system/chaos/scenario.h"

namespace shardmill::chaos {
namespace {

constexpr uint64_t kPauseNs = 200'000'000;  // The longest between a death and the next life.

// A rank whose process is to die so many times.
struct Victim {
  Life* life = nullptr;
  uint64_t deaths = 1;
  uint64_t kill_at = 0;     // The step at which it is killed from outside; 0: it kills itself.
  uint64_t restart_at = 0;  // Nanoseconds; 0: it lives.
};

// One look at a victim. True once it has died its last death and was started again.
bool Advance(Rng& rng, Cluster& cluster, Victim& victim) {
  if (victim.deaths == 0 || cluster.Finished(victim.life->rank)) return true;
  const uint32_t rank = victim.life->rank;
  if (victim.life->ended) {
    if (victim.restart_at == 0) victim.restart_at = MonotonicNs() + rng.Below(kPauseNs);
    if (MonotonicNs() < victim.restart_at) return false;
    victim.restart_at = 0;
    victim.kill_at = 0;
    const bool again = --victim.deaths > 0;
    victim.life = &cluster.StartWorker(rank, again ? DrawAim(rng, cluster.plan(), SIGKILL) : Aim{});
    if (!again) cluster.Healed(rank);
  } else if (victim.kill_at > 0 && cluster.Acked(rank) >= victim.kill_at) {
    cluster.Pass(milliseconds(rng.Below(4)));
    cluster.Kill(*victim.life);
  }
  return false;
}

void Run(Rng& rng, Cluster& cluster) {
  const uint32_t workers = cluster.plan().workers;
  const auto first = static_cast<uint32_t>(rng.Below(workers));
  const uint64_t count = rng.Chance(0.6) ? 1 : 1 + rng.Below(workers);
  std::vector<Victim> victims;
  for (uint32_t rank = 0; rank < workers; ++rank) {
    if ((rank + workers - first) % workers >= count) {
      cluster.StartWorker(rank);
      continue;
    }
    Victim victim;
    victim.deaths = rng.Chance(0.25) ? 2 : 1;
    Aim aim;
    if (rng.Chance(0.3)) {
      victim.kill_at = 1 + rng.Below(cluster.plan().steps / 2);
    } else {
      aim = DrawAim(rng, cluster.plan(), SIGKILL);
    }
    victim.life = &cluster.StartWorker(rank, aim);
    victims.push_back(victim);
  }
  cluster.Await("the killed workers are back", kTroubleLimit, [&] {
    size_t over = 0;
    for (Victim& victim : victims) over += Advance(rng, cluster, victim) ? 1 : 0;
    return over == victims.size();
  });
}

void Shape(Rng& /*rng*/, ClusterPlan& /*plan*/) {}

}  // namespace

const Scenario kWorkerKill{"worker-kill", Shape, Run};

}  // namespace shardmill::chaos
