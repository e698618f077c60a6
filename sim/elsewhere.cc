#include "sim/elsewhere.h"

#include <algorithm>
#include <utility>

#include "snapshot/folder.h"

namespace shardmill::sim {
namespace {

constexpr BootId kBoot{7};
constexpr PeerId kPeer{1};
constexpr uint64_t kFirstShard = 10;
constexpr uint64_t kFirstWorker = 1000;

}  // namespace

Elsewhere::Elsewhere(BlobStore& from, BlobStore& to, const std::string& job,
                     const Manifest& manifest, uint32_t shards, const Policy& policy,
                     FramePool& frames) {
  CoordinatorOptions options;
  options.job = JobId{5};
  options.boot = kBoot;
  options.policy = policy;
  options.workers = static_cast<uint32_t>(manifest.cut.size());
  if (manifest.data.rows > 0) {  // One of the workers is enough, and some ranks may have nobody.
    joins_ = manifest.cut.empty() ? WorkerId{0} : manifest.cut.back().rank;
    options.workers = 1;
    options.workers_max = joins_->value + 1;
    options.data.leased = true;
    options.data.epochs = manifest.data.epoch + 1;
  }
  options.shards = shards;
  options.name = job;
  options.resume = manifest;
  options.snapshots.enabled = true;
  options.snapshots.every = std::chrono::milliseconds(1);
  const Result<uint64_t> highest = HighestNumber(to, job);
  options.snapshots.number = std::max(manifest.number, highest.ok() ? highest.value() : 0);
  coordinator_ = std::make_unique<Coordinator>(options, now_);
  for (uint32_t i = 0; i < shards; ++i) {
    ShardOptions shard;
    shard.id = ShardId{i};
    shard.boot = BootId{100 + i};
    shard.coordinator = kPeer;
    shards_.push_back(std::move(Shard::Make(shard, frames)).value());
    loads_.push_back(std::make_unique<DiskDesk>(from, job));
    saves_.push_back(std::make_unique<DiskDesk>(to, job));
  }
}

std::optional<Manifest> Elsewhere::Run() {
  for (int turn = 0; turn < 100; ++turn) {
    now_ += std::chrono::milliseconds(600);
    Turn();
    if (auto manifest = coordinator_->TakeManifest()) return manifest;
  }
  return {};
}

void Elsewhere::Turn() {
  for (uint32_t i = 0; i < coordinator_->ranks().size(); ++i) {
    if (coordinator_->state() != JobState::kStarting) break;
    if (joins_ && *joins_ != WorkerId{i}) continue;
    const Stamp stamp{JobId{5}, {}, {}, BootId{kFirstWorker + i}, kBoot};
    Outbox outbox;
    coordinator_->Handle(now_, {PeerId{kFirstWorker + i}, stamp, Join{WorkerId{i}}}, outbox);
    FromCoordinator(outbox);
  }
  Outbox outbox;
  coordinator_->Tick(now_, outbox);
  FromCoordinator(outbox);
  for (uint32_t i = 0; i < shards_.size(); ++i) {
    Outbox said;
    shards_[i]->Tick(now_, said);
    while (shards_[i]->DiskWaits()) {
      const auto request = shards_[i]->NextDiskRequest(2);
      if (!request) continue;
      DiskDesk& desk = std::holds_alternative<LoadTables>(*request) ? *loads_[i] : *saves_[i];
      desk.Do(*request, [&](DiskAnswer answer) -> Result<> {
        shards_[i]->Handle(std::move(answer), said);
        return {};
      });
    }
    FromShard(i, said);
  }
}

void Elsewhere::FromCoordinator(const Outbox& outbox) {
  for (const Outgoing& out : outbox) {
    const uint64_t shard = out.peer.value - kFirstShard;
    if (shard >= shards_.size()) continue;
    Outbox said;
    shards_[shard]->Handle(now_, {kPeer, out.stamp, out.message}, said);
    FromShard(static_cast<uint32_t>(shard), said);
  }
}

void Elsewhere::FromShard(uint32_t shard, const Outbox& outbox) {
  for (const Outgoing& out : outbox) {
    Outbox said;
    coordinator_->Handle(now_, {PeerId{kFirstShard + shard}, out.stamp, out.message}, said);
    FromCoordinator(said);
  }
}

}  // namespace shardmill::sim
