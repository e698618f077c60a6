#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/blob/blob_store.h"
#include "common/clock.h"
#include "common/frame_pool.h"
#include "common/messages.h"
#include "server/coordinator.h"
#include "server/disk_desk.h"
#include "server/shard.h"
#include "snapshot/manifest.h"

namespace shardmill::sim {

// Cores of another cluster that begins from a snapshot and makes one of its own at once: no faults,
// no network, and nobody trains. Owned by a test; one thread. What it cannot do is in words().
class Elsewhere final {
 public:
  // `job`: the name under which snapshots lie in both stores.
  Elsewhere(BlobStore& from, BlobStore& to, const std::string& job, const Manifest& manifest,
            uint32_t shards, const Policy& policy, FramePool& frames);

  // The manifest that is to be written when all files are there.
  std::optional<Manifest> Run();
  const std::string& words() const { return coordinator_->words(); }

 private:
  void Turn();
  void FromCoordinator(const Outbox& outbox);
  void FromShard(uint32_t shard, const Outbox& outbox);

  TimePoint now_{};
  std::optional<WorkerId> joins_;  // It alone.
  std::unique_ptr<Coordinator> coordinator_;
  std::vector<std::unique_ptr<Shard>> shards_;
  std::vector<std::unique_ptr<DiskDesk>> loads_;
  std::vector<std::unique_ptr<DiskDesk>> saves_;
};

}  // namespace shardmill::sim
