#include "sim/scenario.h"

#include "common/rng.h"

namespace shardmill::sim {

using std::chrono::microseconds;
using std::chrono::milliseconds;

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
    scenario.faults.delay_max = microseconds(100 + rng.Below(20000));
    if (rng.Chance(0.3)) scenario.faults.clog = rng.Uniform() * 0.01;
  }
  if (rng.Chance(0.7)) scenario.crash = rng.Uniform() * 0.02;
  if (rng.Chance(0.4)) scenario.pause = rng.Uniform() * 0.01;
  if (rng.Chance(0.3)) scenario.twin = rng.Uniform() * 0.01;
  if (rng.Chance(0.3)) scenario.relink = rng.Uniform() * 0.02;
  if (rng.Chance(0.4)) scenario.restart = rng.Uniform() * 0.02;
  scenario.keys = rng.Chance(0.3);
  if (rng.Chance(0.5)) {
    scenario.snapshot_every = milliseconds(5 + rng.Below(60));
    if (rng.Chance(0.5)) scenario.disk_crash = rng.Uniform() * 0.02;
    if (rng.Chance(0.6)) scenario.ruin = rng.Uniform() * 0.01;
    if (rng.Chance(0.6)) scenario.lose_shard = rng.Uniform() * 0.02;
  }
  if (rng.Chance(0.35)) scenario.Lease(rng);
  const bool may_go_back = scenario.snapshot_every > Duration{};
  if ((!scenario.leased() || may_go_back) && rng.Chance(0.5)) {
    scenario.replicas = rng.Chance(0.8) ? 1 : 2;
    if (rng.Chance(0.8)) scenario.lose_shard = rng.Uniform() * 0.02;
    if (rng.Chance(0.5)) scenario.cut_off = rng.Uniform() * 0.01;
    if (rng.Chance(0.5)) scenario.leave = rng.Uniform() * 0.02;
  }
  if ((!scenario.leased() || may_go_back) && scenario.replicas == 0 && rng.Chance(0.5)) {
    scenario.logs = true;
    if (rng.Chance(0.7)) scenario.lose_shard = rng.Uniform() * 0.02;
    if (rng.Chance(0.5)) scenario.sync_fails = rng.Uniform() * 0.05;
    if (rng.Chance(0.7)) scenario.power_cut = rng.Uniform() * 0.01;
  }
  if ((!scenario.leased() || may_go_back) && !scenario.logs && rng.Chance(0.4)) {
    scenario.move = rng.Uniform() * 0.03;
    scenario.spare_servers = static_cast<uint32_t>(rng.Below(3));
    if (rng.Chance(0.3)) scenario.lose_shard = rng.Uniform() * 0.02;
  }
  scenario.wire = seed % 16 == 0;
  if (rng.Chance(0.3)) scenario.bad_link = rng.Uniform() * 0.03;
  if (rng.Chance(0.3)) scenario.stall = rng.Uniform() * 0.02;
  return scenario;
}

// Workers lease their data, and most of the time they come and go as they like.
void Scenario::Lease(Rng& rng) {
  policy.backups = 0;
  policy.nonfinite = OnNonfinite::kReject;
  rows = 10 + rng.Below(60);
  epochs = 1 + rng.Below(3);
  chunk = 1 + rng.Below(12);
  steps = 16;
  if (rng.Chance(0.25)) return;
  workers_max = workers + static_cast<uint32_t>(rng.Below(4));
  any_rank = rng.Chance(0.5);
  join = rng.Uniform() * 0.03;
}

// Where data is leased, there may be another number of workers after everything was killed.
uint32_t Scenario::ranks() const {
  constexpr uint32_t kRanksMax = 8;
  return leased() ? kRanksMax : workers;
}

}  // namespace shardmill::sim
