#include "tests/system/chaos_scenario.h"

#include <algorithm>

namespace shardmill::chaos {
namespace {

const Scenario* const kScenarios[] = {
    &kWorkerKill, &kStop,       &kTwin,         &kCoordinatorKill,
    &kStrangers,  &kServerKill, &kSnapshotKill, &kSnapshotKillDaemons,
    &kElastic,    &kFailover,   &kDrain,        &kPartition,
    &kCorrupt,    &kDiskFull,   &kClock,        &kDiskKill,
    &kPowerCut,   &kSoak};

uint64_t AckedByAll(const Cluster& cluster) {
  uint64_t acked = 0;
  for (uint32_t rank = 0; rank < cluster.plan().workers; ++rank) acked += cluster.Acked(rank);
  return acked;
}

}  // namespace

std::span<const Scenario* const> Scenarios() { return kScenarios; }

const Scenario* FindScenario(std::string_view name) {
  const auto found = std::ranges::find(kScenarios, name, &Scenario::name);
  return found == std::end(kScenarios) ? nullptr : *found;
}

Aim DrawAim(Rng& rng, const ClusterPlan& plan, int signal) {
  Aim aim;
  aim.signal = signal;
  aim.phase = kPhases[rng.Below(std::size(kPhases))];
  aim.step = 1 + rng.Below(plan.steps / 2);
  aim.hit = 1 + rng.Below(6);
  return aim;
}

void LeaseData(Rng& rng, ClusterPlan& plan) {
  plan.backups = 0;
  plan.workers = static_cast<uint32_t>(1 + rng.Below(2));
  plan.workers_max = static_cast<uint32_t>(3 + rng.Below(2));
  plan.rows = 200 + rng.Below(500);
  plan.epochs = 2 + rng.Below(3);
  plan.chunk = 4 + rng.Below(29);
  // Who is silent for longer loses its rank, also where it is only slow: on a machine with more to
  // do than it can, a thread that lives was seen to wait for a quarter of a second.
  plan.lease = milliseconds((kSanitized ? 2000 : 1000) + rng.Below(500));
}

void LetPass(Cluster& cluster, milliseconds time) {
  const uint64_t end = MonotonicNs() + static_cast<uint64_t>(time.count()) * 1'000'000;
  cluster.Await("time passes", kTroubleLimit, [end] { return MonotonicNs() >= end; });
}

void ExpectProgress(Cluster& cluster, milliseconds time) {
  constexpr milliseconds kEnough{400};
  const ClusterPlan& plan = cluster.plan();
  LetPass(cluster, milliseconds(20));
  const uint64_t before = AckedByAll(cluster);
  LetPass(cluster, time);
  if (time < kEnough || AckedByAll(cluster) > before) return;
  // Who has made all its steps has nothing to get on with, and with backup workers some are made
  // without it.
  if (plan.backups > 0) return;
  for (uint32_t rank = 0; rank < plan.workers; ++rank) {
    if (cluster.Acked(rank) == plan.steps) continue;
    cluster.Violation("nobody advances without the coordinator");
    return;
  }
}

}  // namespace shardmill::chaos
