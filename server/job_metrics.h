#pragma once

#include <array>
#include <cstdint>
#include <map>

#include "common/metrics/metrics.h"
#include "common/status/job_status.h"
#include "server/coordinator.h"

namespace shardmill {

// What an operator sees of a job as its coordinator knows it. Owned by the coordinator's thread.
class JobMetrics final {
 public:
  explicit JobMetrics(Registry& registry);

  // `status`: of that coordinator, now.
  void Publish(const Coordinator& coordinator, const JobStatus& status, int64_t unix_ms);
  // Of all messages until now.
  void Count(uint64_t bad_packets, uint64_t forbidden);

 private:
  struct Rank {
    Gauge& step;
    Gauge& staleness_max;
    TimeSpent& awaited;
  };

  void Publish(const JobStatus::Worker& worker);
  void Publish(const SnapshotStatus& seen, double age_seconds, int64_t unix_ms);
  Rank& RankOf(uint32_t rank);

  Registry& registry_;
  std::array<Gauge*, 4> states_;  // By JobStatus::State.
  Gauge& view_;
  Gauge& generation_;
  Counter& rollbacks_;
  Counter& promotions_;
  Gauge& degraded_;
  Gauge& members_;
  Gauge& silent_;
  Counter& lost_;
  Counter& duplicated_;
  Counter& snapshots_;
  Counter& damaged_;
  Counter& given_up_;
  Gauge& snapshot_bytes_;
  Gauge& snapshot_seconds_;
  Gauge& snapshot_at_;
  Counter& bad_packets_;
  Counter& forbidden_;
  std::map<uint32_t, Rank> ranks_;  // Of those that were ever somebody's.
  uint64_t snapshot_ = 0;           // The last one seen.
};

}  // namespace shardmill
