#pragma once

#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "common/clock.h"
#include "common/ids.h"
#include "common/messages.h"
#include "common/metrics/metrics.h"
#include "common/net/messenger.h"
#include "common/net/transport.h"
#include "server/log_work.h"
#include "server/shard.h"

namespace shardmill {

// What an operator sees of one shard. Owned by its agent, on its thread. As the shard's observer it
// times the sums, and passes on to the observer after it.
class ShardMetrics final : public ShardObserver {
 public:
  // `logs`: answers wait for the log, not for replicas.
  ShardMetrics(ShardId id, bool logs, const Clock& clock, Registry& registry);
  // Another server may have the shard from now on: here nothing is left of it.
  ~ShardMetrics() override { registry_.Remove(labels_.front()); }
  ShardMetrics(const ShardMetrics&) = delete;
  ShardMetrics& operator=(const ShardMetrics&) = delete;

  // The shard begins at zero again, and this one sees it next.
  void Begin(ShardObserver* next);

  // To be called after each turn.
  void Publish(const Shard& shard, TimePoint now);
  void Publish(const Messenger::Counters& sent, const Reach& reach);
  void CountBusy(Duration so_far) { busy_.Add(so_far - std::exchange(busy_so_far_, so_far)); }
  void CountForbidden(uint64_t so_far) { forbidden_.Add(so_far - forbidden_.value()); }
  void CountTraceLost(uint64_t so_far) { trace_lost_.Add(so_far - trace_lost_.value()); }

  // What the log's disk is to do; what became of it.
  void LogAsked(const LogRequest& request);
  void LogAnswered(const LogWritten& written);

  void TookView(JobId job, const View& view) override;
  void Restored(uint64_t version, const std::vector<RankState>& ranks) override;
  void Applied(const LogEntry& entry) override;
  void Served(const Pull& pull, BootId reader, const Pulled& answer) override;
  void ChangeBegins(const TableChange& change) override;
  void ChangeEnds() override;

 private:
  void PublishWaits(const Beat& beat, TimePoint now);

  const Clock& clock_;
  Registry& registry_;
  Labels labels_;
  Counter& units_;
  Counter& pulls_;
  Counter& entries_;
  Counter& refused_;
  Counter& discarded_;
  Counter& skipped_;
  Counter& nonfinite_;
  Counter& bad_packets_;
  Counter& forbidden_;
  Counter& unsent_;
  Gauge& closed_;
  Gauge& held_bytes_;
  Gauge& parked_pulls_;
  Gauge& staleness_max_;
  Counter& trace_lost_;
  Gauge& peers_in_memory_;
  Gauge& peers_over_tcp_;
  Gauge& primary_;
  Gauge& in_sync_;
  Gauge& gated_;
  Gauge& log_bytes_;
  Counter& log_failures_;
  Histogram& log_write_;
  Histogram& apply_;
  TimeSpent& waits_for_worker_;
  TimeSpent& waits_for_copy_;
  TimeSpent& busy_;

  ShardObserver* next_ = nullptr;
  TimePoint change_began_{};
  std::map<uint64_t, TimePoint> asked_;  // Of the log, by file: one batch each at a time.
  ShardCounters counted_;                // As last published,
  TimePoint published_at_{};             // then,
  TimeSpent* waits_for_ = nullptr;       // and for what answers have waited since.
  Duration busy_so_far_{};
};

}  // namespace shardmill
