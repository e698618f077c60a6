// The part of Cluster that is the coordinator's process and its disk.

#include <utility>

#include "common/assert.h"
#include "common/wire/coordinator_state.h"
#include "sim/cluster.h"

namespace shardmill::sim {

using std::chrono::microseconds;
using std::chrono::milliseconds;

CoordinatorOptions Cluster::CoordinatorSettings() {
  CoordinatorOptions options;
  options.job = Job();
  options.boot = CoordinatorBoot();
  options.name = "job";
  options.snapshots.enabled = scenario_.snapshot_every > Duration{};
  options.snapshots.every = scenario_.snapshot_every;
  options.snapshots.number = snapshot_floor_;
  // As a process has it: once the job has begun, the state says all.
  if (disk_.decided.view.number.value == 0) options.resume = resume_;
  options.kept = vault_.Complete();
  options.policy = scenario_.policy;
  options.workers = scenario_.workers;
  options.workers_max = scenario_.workers_max;
  options.data.leased = scenario_.leased();
  options.data.epochs = scenario_.epochs;
  options.data.chunk = scenario_.chunk;
  options.shards = scenario_.shards;
  options.replicas = scenario_.replicas;
  options.logs = scenario_.logs;
  options.lease = kLease;
  options.retry_after = milliseconds(20);
  return options;
}

void Cluster::WriteAndSend(Outbox& outbox) {
  std::optional<CoordinatorState> state = coordinator_->TakeState();
  const bool ends = state && !healed_ && rng_.Chance(5 * scenario_.restart);
  if (ends && rng_.Chance(0.5)) {
    EndCoordinator();
    return;
  }
  if (state) {
    if (disk_.going_back.empty() && !state->going_back.empty()) SawGoingBack();
    disk_ = std::move(*state);
  }
  if (ends) {
    EndCoordinator();
    return;
  }
  Send(kCoordinator, outbox);
  KeepManifest();
}

void Cluster::EndCoordinator() {
  ++outcome_.restarts;
  coordinator_still_ = {};
  ended_links_.clear();
  coordinator_back_ = now_ + microseconds(rng_.Below(200'000));
  StartCoordinator();
}

void Cluster::StartCoordinator() {
  const auto state = DecodeState(EncodeState(disk_));
  SM_ASSERT(state.ok());
  coordinator_ = std::make_unique<Coordinator>(CoordinatorSettings(), now_, state.value());
}

void Cluster::TickCoordinator() {
  if (now_ < coordinator_back_ || now_ < coordinator_still_) return;
  if (coordinator_back_ != TimePoint{}) {
    if (vault_.crashed()) return;  // It would not find the snapshots, and not begin.
    StartCoordinator();
  }
  coordinator_back_ = TimePoint{};
  for (const PeerId peer : std::exchange(ended_links_, {})) coordinator_->LinkEnded(now_, peer);
  Outbox outbox;
  coordinator_->Tick(now_, outbox);
  WriteAndSend(outbox);
}

// The coordinator hears of that when it turns.
void Cluster::EndLink(PeerId peer) {
  if (coordinator_back_ == TimePoint{}) ended_links_.push_back(peer);
}

}  // namespace shardmill::sim
