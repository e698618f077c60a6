// The part of Cluster that keeps snapshots, and begins from them.

#include <algorithm>
#include <utility>

#include "sim/cluster.h"

namespace shardmill::sim {

void Cluster::KeepManifest() {
  const std::optional<Manifest> manifest = coordinator_->TakeManifest();
  if (!manifest) return;
  manifests_[manifest->number] = *manifest;
  const Result<> kept = vault_.Keep(*manifest);
  if (kept.ok()) last_kept_ = manifest->number;
  coordinator_->Wrote(now_, manifest->number, kept);
  (kept.ok() ? outcome_.snapshots : outcome_.given_up) += 1;
  // All that are left are looked into when the history ends.
  const std::string problem = vault_.Problem(manifest->number % 4 == 0 ? 1 : 0);
  if (!problem.empty()) ledger_.Violation(problem);
}

void Cluster::InjectDiskFaults() {
  if (vault_.crashed() && (healed_ || fate_.Chance(0.1))) {
    vault_.Restart();
    const std::string problem = vault_.Problem();
    if (!problem.empty()) ledger_.Violation(problem);
  }
  if (healed_) return;
  if (!vault_.crashed() && fate_.Chance(scenario_.disk_crash)) vault_.CrashSoon();
  constexpr uint64_t kRuinsMax = 3;
  if (!outcome_.failed && outcome_.ruins < kRuinsMax && fate_.Chance(scenario_.ruin)) Ruin();
}

void Cluster::InjectLogFaults() {
  if (!scenario_.logs) return;
  if (power_ends_ && (healed_ || now_ >= *power_ends_)) CutPower();
  if (healed_ || outcome_.failed || power_ends_) return;
  if (fate_.Chance(scenario_.sync_fails)) {
    log_disks_[fate_.Below(log_disks_.size())]->FailSyncSoon();
  }
  constexpr uint64_t kCutsMax = 3;
  if (outcome_.power_cuts >= kCutsMax || !fate_.Chance(scenario_.power_cut)) return;
  if (!std::ranges::all_of(holders_, [this](const Holder& h) { return MayLose(h); })) return;
  for (const auto& disk : log_disks_) disk->LosePowerSoon();
  power_ends_ = now_ + std::chrono::microseconds(fate_.Below(10'000));
}

// Everything is killed at once, and what was not on disk is gone. Who is started again goes on with
// the same job.
void Cluster::CutPower() {
  ++outcome_.power_cuts;
  power_ends_.reset();
  vault_.Forget(true);
  network_ = Network(fate_.Next());
  if (!healed_) network_.SetFaults(scenario_.faults);
  for (const auto& disk : log_disks_) disk->Restart();
  for (uint32_t i = 0; i < holders_.size(); ++i) {
    holders_[i].back = now_ + std::chrono::microseconds(fate_.Below(150'000));
    Begin(i);
  }
  std::vector<WorkerId> ranks;
  for (const Process& process : processes_) {
    // Who has failed, and not yet said so, is followed by another, too.
    if (!process.zombie && !process.worker->left()) ranks.push_back(process.rank);
  }
  processes_.clear();
  EndCoordinator();
  for (const WorkerId rank : ranks) StartWorker(rank);
}

// The coordinator has decided that the job goes back. What was answered at level `replica` may be
// lost with all copies of a shard that had it, and with one of them not; at level `disk`, not at
// all. A step of leased data that nobody can make again is a reason of its own.
void Cluster::SawGoingBack() {
  if (scenario_.leased()) return;
  const bool restored = disk_.rollbacks > 0 || resume_;
  const Generation generation = disk_.decided.view.generation;
  for (uint32_t i = 0; i < scenario_.shards; ++i) {
    // It has not gone back with the others yet.
    if (restored && PrimaryOf(i).node->view().generation < generation) return;
    if (!IsKept(ShardId{i})) return;
  }
  ledger_.Violation("the job goes back, and each shard has a copy that has all that was answered");
}

// Whether a process that has all that was answered lives, or a disk has it: by what the coordinator
// had written down before.
bool Cluster::IsKept(ShardId shard) const {
  const ShardCopies& copies = disk_.copies[shard.value];
  // After a rollback a log is of use when it has been begun anew.
  if (scenario_.logs && disk_.rollbacks == 0 && copies.log.value > 0) return true;
  const std::vector<ShardPlace>& places = disk_.decided.view.shards;
  const bool unseen = shard.value < places.size() && places[shard.value].term != copies.term;
  return std::ranges::any_of(holders_, [&](const Holder& holder) {
    const auto replica = std::ranges::find(copies.replicas, holder.boot, &ReplicaPlace::boot);
    const bool counts =
        holder.boot == copies.boot ||
        (replica != copies.replicas.end() && (replica->in_sync || (unseen && replica->goes_on)));
    return holder.shard == shard && !holder.closed && counts;
  });
}

// Where it takes the job back, that is to the last snapshot that there is.
void Cluster::SawInstall(const Install& install) {
  if (ledger_.Knows(install.view.generation)) return;
  ++outcome_.rollbacks;
  const auto from = manifests_.find(install.restore);
  const bool known = install.restore == 0 || from != manifests_.end();
  if (!known || install.restore < last_kept_) {
    ledger_.Violation("the job goes back to snapshot " + std::to_string(install.restore) +
                      ", and the last is " + std::to_string(last_kept_));
  }
  ledger_.RollBack(install.view.generation, from == manifests_.end() ? nullptr : &from->second,
                   scenario_.elastic() ? scenario_.workers_max : scenario_.workers);
}

// Everything is killed at once, and begins again as an operator has it: with the last snapshot
// there is, or anew.
void Cluster::Ruin() {
  ++outcome_.ruins;
  vault_.Forget(fate_.Chance(0.5));
  CheckSnapshots();
  resume_ = vault_.Newest();
  snapshot_floor_ = vault_.HighestNumber();
  outcome_.resumed += resume_ ? 1 : 0;
  last_kept_ = resume_ ? resume_->number : 0;
  if (scenario_.leased()) {
    const uint32_t most = scenario_.elastic() ? scenario_.workers_max : 4;
    scenario_.workers = static_cast<uint32_t>(1 + fate_.Below(most));
  }
  ledger_.BeginAnew(resume_ ? &*resume_ : nullptr,
                    scenario_.elastic() ? scenario_.workers_max : scenario_.workers);
  network_ = Network(fate_.Next());
  network_.SetFaults(scenario_.faults);
  power_ends_.reset();
  for (const auto& disk : log_disks_) disk->Wipe();
  processes_.clear();
  identities_.clear();
  disk_ = {};
  coordinator_back_ = TimePoint{};
  coordinator_ = std::make_unique<Coordinator>(CoordinatorSettings(), now_);
  disk_ = *coordinator_->TakeState();
  MakeShards();
  MakeServers();
  for (uint32_t i = 0; i < scenario_.workers; ++i) StartWorker(WorkerId{i});
}

// What is there is whole, and becomes the same state on any number of shards.
void Cluster::CheckSnapshots() {
  if (vault_.crashed()) vault_.Restart();
  std::string problem = vault_.Problem();
  const std::optional<Manifest> newest = vault_.Newest();
  if (problem.empty() && newest) {
    const auto shards = static_cast<uint32_t>(1 + fate_.Below(4));
    problem = vault_.RestoreProblem(*newest, shards, scenario_.policy);
  }
  if (!problem.empty()) ledger_.Violation(problem);
}

}  // namespace shardmill::sim
