#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "common/frame_pool.h"
#include "common/ids.h"
#include "common/messages.h"
#include "server/log_entry.h"

namespace shardmill {

// The lists of keys that ranks have sent, so that each crosses once. Bounded by forgetting the one
// that was not used for longest: its owner sends it again when asked. Owned by a Shard, on its
// thread.
class KeyCache final {
 public:
  // Bounds for each rank. The pool outlives it.
  KeyCache(uint32_t lists_max, uint64_t keys_max, FramePool& frames)
      : lists_max_(lists_max), keys_max_(keys_max), frames_(frames) {}

  // The list that a message names: the one it brings, or the one that is remembered; null: neither.
  std::shared_ptr<KeyRows> Get(WorkerId rank, TableId table, const KeyList& list);

  // Another process has the rank, and names of its own.
  void Forget(WorkerId rank) { ranks_.erase(rank); }
  void ForgetAll() { ranks_.clear(); }

 private:
  struct Rank {
    // The last used first. A list is rarely longer than lists_max, and searched by name.
    std::list<std::pair<uint64_t, std::shared_ptr<KeyRows>>> lists;
    uint64_t keys = 0;
  };

  std::shared_ptr<KeyRows> Make(TableId table, std::span<const uint64_t> keys);
  void ForgetLast(Rank& rank);

  uint32_t lists_max_;
  uint64_t keys_max_;
  FramePool& frames_;
  std::map<WorkerId, Rank> ranks_;
  std::vector<std::shared_ptr<KeyRows>> spare_;  // Their memory is for the next.
};

}  // namespace shardmill
