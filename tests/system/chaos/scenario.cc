#include "tests/system/chaos/scenario.h"

#include <algorithm>

namespace shardmill::chaos {
namespace {

const Scenario* const kScenarios[] = {
    &kWorkerKill, &kStop,       &kTwin,         &kCoordinatorKill,
    &kStrangers,  &kServerKill, &kSnapshotKill, &kSnapshotKillDaemons,
    &kElastic,    &kFailover,   &kSilence,      &kDrain,
    &kRebalance,  &kPartition,  &kCorrupt,      &kDiskFull,
    &kClock,      &kDiskKill,   &kPowerCut,     &kSoak,
    &kSplit,      &kHosts};

// The step after the one that was under way then: when it was acknowledged to the last of all
// ranks. Nothing where somebody has none to make any more.
std::optional<uint64_t> AckedAfter(const Cluster& cluster, uint64_t from_ns) {
  uint64_t last = 0;
  for (uint32_t rank = 0; rank < cluster.plan().workers; ++rank) {
    std::vector<uint64_t> acks;
    for (const auto& life : cluster.lives()) {
      if (life->rank != rank) continue;
      for (const Record& record : life->records) {
        const bool made = record.event == Event::kCounted || record.event == Event::kDiscarded;
        if (made && record.at_ns >= from_ns) acks.push_back(record.at_ns);
      }
    }
    if (acks.size() < 2) return {};
    std::ranges::sort(acks);
    last = std::max(last, acks[1]);
  }
  return last;
}

bool SomebodyIsDone(const Cluster& cluster) {
  for (uint32_t rank = 0; rank < cluster.plan().workers; ++rank) {
    if (cluster.Acked(rank) + 2 >= cluster.plan().steps) return true;
  }
  return false;
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

uint64_t AckedByAll(const Cluster& cluster) {
  uint64_t acked = 0;
  for (uint32_t rank = 0; rank < cluster.plan().workers; ++rank) acked += cluster.Acked(rank);
  return acked;
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

void AwaitMoment(Rng& rng, Cluster& cluster, bool at_end) {
  const ClusterPlan& plan = cluster.plan();
  const auto rank = static_cast<uint32_t>(rng.Below(plan.workers));
  const uint64_t acked = cluster.Acked(rank);
  const uint64_t left = plan.steps - std::min(plan.steps, acked);
  cluster.AwaitStep(rank, acked + (at_end ? left : 1 + rng.Below(left / 3 + 1)));
  LetPass(cluster, milliseconds(rng.Below(10)));
}

bool IsOver(const Cluster& cluster, const std::optional<JobStatus>& status) {
  if (status && status->state == JobStatus::State::kDone) return true;
  for (uint32_t rank = 0; rank < cluster.plan().workers; ++rank) {
    if (!cluster.Finished(rank)) return false;
  }
  return true;
}

// The coordinator's page is some tenths of a second old, and may be of before the last loss.
void AwaitCopies(Cluster& cluster) {
  LetPass(cluster, milliseconds(400));
  cluster.Await("all replicas are in sync", kAdvanceLimit, [&] {
    const std::optional<JobStatus> status = cluster.Status();
    if (IsOver(cluster, status)) return true;
    return status && status->view > 0 &&
           std::ranges::all_of(status->shards, [](const JobStatus::Shard& shard) {
             return shard.in_sync == shard.replicas;
           });
  });
}

void AwaitNextAcks(Cluster& cluster, uint64_t from_ns, milliseconds limit, bool counts) {
  std::optional<uint64_t> acked;
  cluster.Await("all ranks get on with a replica", limit, [&] {
    acked = AckedAfter(cluster, from_ns);
    return acked || SomebodyIsDone(cluster);
  });
  if (counts && acked) cluster.Recovered(static_cast<double>(*acked - from_ns) / 1e9);
}

}  // namespace shardmill::chaos
