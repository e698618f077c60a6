#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/blob/folder_store.h"
#include "common/blob/memory_files.h"
#include "common/frame_pool.h"
#include "common/rng.h"
#include "server/disk_desk.h"
#include "server/shard.h"
#include "snapshot/manifest.h"

namespace shardmill::sim {

// Where a simulated cluster keeps its snapshots: one disk that all processes see, which is slow and
// crashes, and each shard's desk before it. Owned by a Cluster; one thread.
class Vault final {
 public:
  Vault(uint64_t seed, FramePool& frames);

  // For so many shards at least.
  void MakeRoom(size_t shards);
  // A moment of time: the disk does some of what the shard asks, and some of what came of that
  // comes back to it.
  void Work(uint32_t index, Shard& shard, Outbox& outbox);
  // As a coordinator's process does with what TakeManifest gave.
  Result<> Keep(const Manifest& manifest);

  // The disk dies within the next few changes.
  void CrashSoon() { files_.CrashAfter(1 + rng_.Below(60)); }
  bool crashed() const { return files_.crashed(); }
  // It comes back; files that were being written have failed.
  void Restart();
  // All processes are gone, and with them what they wrote; with `power`, the machine was off, too.
  void Forget(bool power);
  // The process of a shard is gone, and with it what it wrote.
  void ForgetShard(uint32_t index);

  std::optional<Manifest> Newest();
  std::vector<Manifest> Complete();  // The oldest first.
  // The highest number that any folder has, whole or not.
  uint64_t HighestNumber();
  // Words where a snapshot that is there is not whole, or the last that was kept is gone.
  // `looked_into`: of so many of the newest all that their files have is looked at.
  std::string Problem(size_t looked_into = SIZE_MAX);
  // Words where a snapshot does not become the same again when so many shards begin from it.
  std::string RestoreProblem(const Manifest& manifest, uint32_t shards, const Policy& policy);

 private:
  Rng rng_;
  FramePool& frames_;
  MemoryFiles files_;
  FolderStore store_;
  std::vector<std::unique_ptr<DiskDesk>> desks_;
  std::vector<std::optional<DiskRequest>> loads_;  // That wait until the disk is back.
  std::vector<std::deque<DiskAnswer>> answers_;    // On their way to each shard.
  uint64_t kept_ = 0;                              // The last that was kept.
};

}  // namespace shardmill::sim
