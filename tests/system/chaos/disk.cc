// A disk that is full, has become read-only, or does not take what was written, under the folder of
// snapshots, of the coordinator's log or of the shards' logs; and a time of day that jumps. Nobody
// may say that something is kept that is not, the job goes on or says why not, and goes on when the
// disk does.
#include <algorithm>
#include <fstream>
#include <iterator>

#include "tests/system/chaos/scenario.h"

namespace shardmill::chaos {
namespace {

constexpr int64_t kDay = 86'400;

uint64_t CompleteSnapshot(const Cluster& cluster) {
  const std::optional<JobStatus> status = cluster.Status();
  return status && status->snapshots ? status->snapshots->number : 0;
}

// Snapshots stop, the training does not; and they come again.
void LoseSnapshots(Rng& rng, Cluster& cluster, DiskFault fault) {
  cluster.Await("there is a snapshot", kTroubleLimit,
                [&] { return CompleteSnapshot(cluster) > 0; });
  cluster.faults().SetDisk(fault, cluster.folder() + "/kept");
  cluster.Await("a snapshot is given up, and it is said why", kTroubleLimit, [&] {
    const std::optional<JobStatus> status = cluster.Status();
    if (IsOver(cluster, status)) return true;
    return status && status->snapshots && status->snapshots->given_up > 0 &&
           !status->snapshots->problem.empty();
  });
  const uint64_t before = CompleteSnapshot(cluster);
  ExpectProgress(cluster, milliseconds(100 + rng.Below(600)));
  if (CompleteSnapshot(cluster) > before) {
    cluster.Violation("a snapshot is complete that could not be written");
  }
  cluster.faults().MendDisks();
  for (uint32_t rank = 0; rank < cluster.plan().workers; ++rank) cluster.Healed(rank);
  cluster.Await("there are snapshots again", kAdvanceLimit, [&] {
    return IsOver(cluster, cluster.Status()) || CompleteSnapshot(cluster) > before;
  });
}

std::string ReadText(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

bool SomeLogFails(const Cluster& cluster) {
  const std::optional<JobStatus> status = cluster.Status();
  return status && std::ranges::any_of(status->shards, [](const JobStatus::Shard& shard) {
           return shard.degraded.find("its log") == 0 &&
                  shard.degraded.find('/') != std::string::npos;
         });
}

}  // namespace

void LoseCoordinatorLog(Rng& rng, Cluster& cluster, DiskFault fault, uint32_t rank) {
  cluster.faults().SetDisk(fault, cluster.folder() + "/state");
  for (const auto& life : cluster.lives()) {
    if (life->rank == rank && !life->ended) cluster.Kill(*life);
  }
  if (!cluster.Finished(rank)) cluster.StartWorker(rank);
  const std::optional<ExitStatus> ended = cluster.AwaitCoordinatorEnd();
  if (!ended) return;
  if (ended->signal != 0 || ended->code == 0) {
    cluster.Violation("the coordinator that could not keep its log ended with " +
                      ExitWords(*ended));
  }
  const std::string said = ReadText(cluster.folder() + "/" + cluster.coordinator().name() + ".out");
  const bool names_it = said.find("/state/job/coordinator.log") != std::string::npos;
  if (!names_it) cluster.Violation("the coordinator does not name the log that it could not keep");
  LetPass(cluster, milliseconds(rng.Below(300)));
  cluster.faults().MendDisks();
  cluster.RestartCoordinator();
  if (!cluster.AwaitCoordinator()) return;
  for (uint32_t one = 0; one < cluster.plan().workers; ++one) cluster.Healed(one);
}

void LoseShardLogs(Rng& rng, Cluster& cluster, DiskFault fault) {
  cluster.faults().SetDisk(fault, cluster.folder() + "/logs");
  cluster.Await("a shard says that its log is not written", kTroubleLimit,
                [&] { return IsOver(cluster, cluster.Status()) || SomeLogFails(cluster); });
  LetPass(cluster, milliseconds(100));
  const uint64_t before = AckedByAll(cluster);
  LetPass(cluster, milliseconds(100 + rng.Below(600)));
  if (AckedByAll(cluster) > before) cluster.Violation("a step counts that is in no log");
  cluster.faults().MendDisks();
  for (uint32_t one = 0; one < cluster.plan().workers; ++one) cluster.Healed(one);
}

namespace {

void RunDisk(Rng& rng, Cluster& cluster) {
  const ClusterPlan& plan = cluster.plan();
  for (uint32_t rank = 0; rank < plan.workers; ++rank) cluster.StartWorker(rank);
  const auto fault = static_cast<DiskFault>(1 + plan.seed % 3);
  const uint64_t place = plan.seed / 3 % 3;
  if (place == 0) return LoseSnapshots(rng, cluster, fault);
  const auto rank = static_cast<uint32_t>(rng.Below(plan.workers));
  cluster.AwaitStep(rank, 1 + rng.Below(plan.steps / 2));
  if (IsOver(cluster, cluster.Status())) return;
  if (place == 1) return LoseCoordinatorLog(rng, cluster, fault, rank);
  LoseShardLogs(rng, cluster, fault);
}

void ShapeDisk(Rng& rng, ClusterPlan& plan) {
  plan.faulty = true;
  plan.keeps_state = true;
  plan.snapshot_every = milliseconds(20 + rng.Below(100));
  plan.logs = plan.seed / 3 % 3 == 2;
  plan.steps += plan.seed / 3 % 3 == 0 ? 600 : 40;
  plan.think_us = 4000 + rng.Below(6000);
}

void RunClock(Rng& rng, Cluster& cluster) {
  const ClusterPlan& plan = cluster.plan();
  for (uint32_t rank = 0; rank < plan.workers; ++rank) cluster.StartWorker(rank);
  for (uint64_t jumps = 2 + rng.Below(4); jumps > 0; --jumps) {
    const auto rank = static_cast<uint32_t>(rng.Below(plan.workers));
    cluster.AwaitStep(rank, rng.Below(plan.steps));
    const int64_t days = static_cast<int64_t>(1 + rng.Below(2)) * (rng.Chance(0.5) ? 1 : -1);
    cluster.faults().SetClock(days * kDay);
    for (uint32_t one = 0; one < plan.workers; ++one) cluster.Healed(one);
    LetPass(cluster, milliseconds(rng.Below(200)));
  }
  const std::optional<JobStatus> status = cluster.Status();
  if (status && status->rollbacks > 0) cluster.Violation("the job has gone back");
  if (cluster.fenced() > 0) cluster.Violation("somebody was fenced");
  if (cluster.faults().faults() == 0) cluster.Violation("nobody has asked for the time");
}

void ShapeClock(Rng& rng, ClusterPlan& plan) {
  plan.faulty = true;
  plan.keeps_state = true;
  plan.snapshot_every = milliseconds(20 + rng.Below(100));
  plan.steps += 60;
  plan.think_us = 2000 + rng.Below(6000);
}

}  // namespace

const Scenario kDiskFull{"disk-full", ShapeDisk, RunDisk};
const Scenario kClock{"clock", ShapeClock, RunClock};

}  // namespace shardmill::chaos
