// Everything at once: SIGKILL of all processes, or of the servers and the coordinator alone, once
// or several times, where shards keep logs; those that are started again go on. Or the power goes
// as well: of what no sync has had on disk, bytes and names, a part chosen by chance is missing
// then.
#include "common/blob/folder_store.h"
#include "common/blob/posix_files.h"
#include "snapshot/folder.h"
#include "snapshot/verify.h"
#include "tests/system/chaos/scenario.h"
#include "tests/system/faults/power_cut.h"

namespace shardmill::chaos {
namespace {

// All that were not told to live on.
void KillAll(Cluster& cluster, bool workers) {
  for (const auto& life : cluster.lives()) {
    if (workers && !life->ended) cluster.Kill(*life);
  }
  for (size_t i = 0; i < cluster.plan().servers; ++i) cluster.KillServer(i);
  cluster.KillCoordinator();
}

void StartAll(Rng& rng, Cluster& cluster, bool workers) {
  const ClusterPlan& plan = cluster.plan();
  cluster.RestartCoordinator();
  if (!cluster.AwaitCoordinator()) return;
  for (size_t i = 0; i < plan.servers; ++i) {
    LetPass(cluster, milliseconds(rng.Below(100)));
    cluster.ReplaceServer(i);
  }
  for (uint32_t rank = 0; rank < plan.workers; ++rank) {
    if (workers && !cluster.Finished(rank)) cluster.StartWorker(rank);
    cluster.Healed(rank);
  }
}

void ExpectNotBack(Cluster& cluster) {
  const std::optional<JobStatus> status = cluster.Status();
  if (status && status->rollbacks > 0) cluster.Violation("the job has gone back to a snapshot");
}

void RunDiskKill(Rng& rng, Cluster& cluster) {
  for (uint32_t rank = 0; rank < cluster.plan().workers; ++rank) cluster.StartWorker(rank);
  for (uint64_t losses = 1 + rng.Below(3); losses > 0; --losses) {
    AwaitMoment(rng, cluster, false);
    if (IsOver(cluster, cluster.Status())) return;
    const bool workers = rng.Chance(0.5);
    KillAll(cluster, workers);
    LetPass(cluster, milliseconds(rng.Below(300)));
    StartAll(rng, cluster, workers);
  }
  ExpectNotBack(cluster);
}

// Each is there whole, or not at all.
void CheckSnapshots(Cluster& cluster) {
  PosixFiles files;
  FolderStore store(files, cluster.folder() + "/kept");
  auto found = ListSnapshots(store, "");
  if (!found.ok()) return cluster.Violation(found.error().message);
  for (const FoundSnapshot& one : found.value()) {
    auto report = VerifySnapshot(store, one.folder());
    if (!report.ok()) {
      cluster.Violation(report.error().message);
    } else if (!report->problems.empty()) {
      cluster.Violation(report->problems.front());
    }
  }
}

// Files and folders of logs, snapshots and coordinator, and what the disk has of them.
void CutPowerOf(Rng& rng, Cluster& cluster) {
  const Result<PowerCut> cut =
      CutPower(rng, cluster.faults().notes(), cluster.folder(), {"logs", "state", "kept"});
  if (!cut.ok()) return cluster.Violation(cut.error().message);
  if (cut.value().known == 0) cluster.Violation("nobody has noted what is on disk");
  CheckSnapshots(cluster);
}

void RunPowerCut(Rng& rng, Cluster& cluster) {
  for (uint32_t rank = 0; rank < cluster.plan().workers; ++rank) cluster.StartWorker(rank);
  for (uint64_t cuts = 1 + rng.Below(2); cuts > 0; --cuts) {
    AwaitMoment(rng, cluster, false);
    if (IsOver(cluster, cluster.Status())) return;
    KillAll(cluster, true);
    // In some trials they have begun again when the power goes: what they find is not all on disk.
    if (rng.Chance(0.3)) {
      StartAll(rng, cluster, true);
      LetPass(cluster, milliseconds(rng.Below(300)));
      KillAll(cluster, true);
    }
    CutPowerOf(rng, cluster);
    StartAll(rng, cluster, true);
  }
  ExpectNotBack(cluster);
}

void ShapeDiskKill(Rng& rng, ClusterPlan& plan) {
  plan.logs = true;
  plan.keeps_state = true;
  plan.steps += 100;
  plan.think_us = 1000 + rng.Below(5000);
  if (rng.Chance(0.3)) plan.table_step = 2 + rng.Below(plan.steps / 3);
  if (rng.Chance(0.3)) plan.snapshot_every = milliseconds(20 + rng.Below(200));
}

void ShapePowerCut(Rng& rng, ClusterPlan& plan) {
  ShapeDiskKill(rng, plan);
  plan.faulty = true;
  plan.noted = true;
  plan.snapshot_every = milliseconds(20 + rng.Below(200));
}

}  // namespace

const Scenario kDiskKill{"disk-kill", ShapeDiskKill, RunDiskKill};
const Scenario kPowerCut{"power-cut", ShapePowerCut, RunPowerCut};

}  // namespace shardmill::chaos
