#pragma once

#include <cstdint>
#include <map>

#include "common/clock.h"
#include "common/status/job_status.h"

namespace shardmill {

// For how long shards have waited for each rank, as their beats say: a sample at each look. Owned
// by the coordinator's thread.
class WaitShares final {
 public:
  // What was so longer ago than this counts for little in a share.
  static constexpr Duration kRecent = std::chrono::seconds(10);

  // Takes what the status says of shards, and says of workers how they were awaited.
  void Look(TimePoint now, JobStatus& status);

 private:
  struct Rank {
    Duration total{};
    double share = 0;
  };

  std::map<uint32_t, Rank> ranks_;
  TimePoint looked_at_{};
};

}  // namespace shardmill
