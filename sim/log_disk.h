#pragma once

#include <cstdint>
#include <deque>
#include <memory>

#include "common/blob/memory_files.h"
#include "common/frame_pool.h"
#include "common/ids.h"
#include "common/rng.h"
#include "server/log_desk.h"
#include "server/shard.h"

namespace shardmill::sim {

// The disk on which one place's shard keeps its log, slow and now and then broken, and the desk
// before it. It outlives the processes in its place. Owned by a Cluster; one thread.
class LogDisk final {
 public:
  LogDisk(uint64_t seed, ShardId shard, FramePool& frames);

  // A moment of time: the disk does some of what the shard asks, and some of what came of that
  // comes back to it.
  void Work(Shard& shard, Outbox& outbox);
  // Another process is in the place.
  void BeginAnew();

  // A sync within the next few fails.
  void FailSyncSoon() { files_.FailSyncAfter(1 + rng_.Below(4)); }
  // The power goes with one of the next few writes; and is back.
  void LosePowerSoon() { files_.CrashAfter(1 + rng_.Below(6)); }
  void Restart();
  // Everything is another job's from now on.
  void Wipe();

 private:
  Rng rng_;
  ShardId shard_;
  FramePool& frames_;
  MemoryFiles files_;
  std::unique_ptr<LogDesk> desk_;
  std::deque<LogAnswer> answers_;
};

}  // namespace shardmill::sim
