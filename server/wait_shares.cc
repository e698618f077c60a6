#include "server/wait_shares.h"

#include <chrono>
#include <cmath>
#include <set>
#include <utility>

namespace shardmill {

void WaitShares::Look(TimePoint now, JobStatus& status) {
  using Seconds = std::chrono::duration<double>;
  const TimePoint before = std::exchange(looked_at_, now);
  const Duration passed = before == TimePoint{} ? Duration{} : now - before;
  const double weight = 1 - std::exp(-Seconds(passed) / Seconds(kRecent));
  std::set<uint32_t> awaited;
  for (const JobStatus::Shard& shard : status.shards) {
    if (shard.waits()) awaited.insert(shard.waiting_for);
  }
  for (JobStatus::Worker& worker : status.workers) {
    Rank& rank = ranks_[worker.rank];
    const bool waits = status.state == JobStatus::State::kTraining && awaited.contains(worker.rank);
    if (waits) rank.total += passed;
    rank.share += weight * ((waits ? 1 : 0) - rank.share);
    worker.awaited_seconds = Seconds(rank.total).count();
    worker.awaited_share = rank.share;
  }
}

}  // namespace shardmill
