#pragma once

#include <cstdint>
#include <deque>

#include "common/frame_pool.h"
#include "common/messages.h"
#include "server/follow_stream.h"

namespace shardmill {

// The entries and views that a replica took last: what another replica may lack when this one
// becomes primary. They lie in memory of its own, since that of the primary they came from may go
// with it. Owned by a shard, on its thread.
class RecentItems final {
 public:
  explicit RecentItems(FramePool& frames) : frames_(&frames) {}

  // What comes from now on follows on so many entries.
  void Begin(uint64_t version);
  void Add(const Entry& entry);
  void Add(const View& view, uint64_t version);
  // All other replicas that count have these entries.
  void Drop(uint64_t kept);

  // Whoever has these entries lacks nothing but items, or some of the last of them.
  uint64_t since() const { return since_; }
  uint64_t bytes() const { return bytes_; }
  const std::deque<FollowStream::Item>& items() const { return items_; }

 private:
  FramePool* frames_;
  uint64_t since_ = 0;
  uint64_t bytes_ = 0;
  std::deque<FollowStream::Item> items_;
};

}  // namespace shardmill
