// What a history is made of, from its seed.

#include "sim/cluster.h"

namespace shardmill::sim {
namespace {

Policy SomePolicy(Rng& rng, uint32_t workers) {
  Policy policy;
  switch (rng.Below(3)) {
    case 0:
      if (workers > 1 && rng.Chance(0.4)) {
        policy.backups = static_cast<uint32_t>(1 + rng.Below(workers - 1));
      }
      break;
    case 1:
      policy.apply = ApplyRule::kOnArrival;
      policy.staleness = rng.Below(4);
      break;
    default:
      policy.apply = ApplyRule::kOnArrival;
      policy.bounded = false;
      break;
  }
  policy.aggregate = static_cast<Aggregate>(rng.Below(3));
  const double nonfinite = rng.Uniform();
  if (nonfinite < 0.3) {
    policy.nonfinite = OnNonfinite::kSkip;
  } else if (nonfinite < 0.45) {
    policy.nonfinite = OnNonfinite::kAccept;
  }
  return policy;
}

}  // namespace

Scenario Scenario::FromSeed(uint64_t seed) {
  Rng rng(Mix(seed));
  Scenario scenario;
  scenario.seed = seed;
  scenario.workers = 1 + static_cast<uint32_t>(rng.Below(4));
  scenario.shards = 1 + static_cast<uint32_t>(rng.Below(3));
  scenario.steps = 4 + rng.Below(16);
  scenario.policy = SomePolicy(rng, scenario.workers);
  if (rng.Chance(0.8)) {
    scenario.faults.loss = rng.Uniform() * 0.3;
    scenario.faults.duplicate = rng.Uniform() * 0.5;
    scenario.faults.delay_max = std::chrono::microseconds(100 + rng.Below(20000));
    if (rng.Chance(0.3)) scenario.faults.clog = rng.Uniform() * 0.01;
  }
  if (rng.Chance(0.7)) scenario.crash = rng.Uniform() * 0.02;
  if (rng.Chance(0.4)) scenario.pause = rng.Uniform() * 0.01;
  if (rng.Chance(0.3)) scenario.twin = rng.Uniform() * 0.01;
  if (rng.Chance(0.3)) scenario.relink = rng.Uniform() * 0.02;
  if (rng.Chance(0.4)) scenario.restart = rng.Uniform() * 0.02;
  scenario.keys = rng.Chance(0.3);
  if (rng.Chance(0.5)) {
    scenario.snapshot_every = std::chrono::milliseconds(5 + rng.Below(60));
    if (rng.Chance(0.5)) scenario.disk_crash = rng.Uniform() * 0.02;
    if (rng.Chance(0.6)) scenario.ruin = rng.Uniform() * 0.01;
    if (rng.Chance(0.6)) scenario.lose_shard = rng.Uniform() * 0.02;
  }
  return scenario;
}

}  // namespace shardmill::sim
