#pragma once

#include <optional>
#include <utility>
#include <vector>

#include "common/clock.h"
#include "common/ids.h"
#include "common/messages.h"
#include "common/timeline/lane.h"
#include "server/shard.h"

namespace shardmill {

// Puts what a shard does on its lane: what it takes of a worker's steps, the sums that it does,
// pulls that are parked, cuts. Watches the shard from without, where messages go in and out, and
// from within as its observer. Owned by the shard's agent, on its thread; the lane and the observer
// after it, if any, outlive it.
class ShardTimeline final : public ShardObserver {
 public:
  ShardTimeline(ShardId shard, TimelineLane& lane, ShardObserver* next)
      : id_(shard), lane_(lane), next_(next) {}

  // As the shard's own.
  void Take(Shard& shard, TimePoint now, const Envelope& envelope, Outbox& outbox);
  bool Settle(Shard& shard, Outbox& outbox);

  void TookView(JobId job, const View& view) override;
  void Restored(uint64_t version, const std::vector<RankState>& ranks) override;
  void Applied(const LogEntry& entry) override;
  void Served(const Pull& pull, BootId reader, const Pulled& answer) override;
  void ChangeBegins(const TableChange& change) override;
  void ChangeEnds() override;

 private:
  void TakeOfStep(Shard& shard, TimePoint now, const Envelope& envelope, Outbox& outbox,
                  uint64_t request);
  void TakeOfCut(Shard& shard, TimePoint now, const Envelope& envelope, Outbox& outbox);
  // Marks the answers in the outbox from that place on. Whether one of them is to `request`.
  bool MarkAnswers(const Outbox& outbox, size_t from, uint64_t request);
  void Park(const Shard& shard, const Pull& pull, uint64_t request);
  void SayTable(TimelineEvent& event, TableId table);
  uint64_t EntryId(WorkerId rank, Step step) const;

  ShardId id_;
  TimelineLane& lane_;
  ShardObserver* next_;
  std::vector<std::pair<TableId, const char*>> tables_;  // Their names, kept by the lane.
  std::optional<WorkerId> ending_;                       // Whose End is being taken.
  // Of the last entry applied, in whose sums the arrows of its steps end.
  uint64_t version_ = 0;
  uint64_t steps_ = 0;
  std::optional<WorkerId> last_worker_;  // Whose End made it whole.
  std::vector<uint64_t> arrows_;
  std::optional<TimelineEvent> change_;  // Under way.
};

// A shard as a Pump drives it, on a timeline where there is one. Borrows both; set before the first
// turn, and again where another shard takes its place.
class TimedShard final {
 public:
  void Set(Shard& shard, ShardTimeline* timeline) {
    shard_ = &shard;
    timeline_ = timeline;
  }

  void Take(TimePoint now, const Envelope& envelope, Outbox& outbox) {
    if (timeline_ == nullptr) return shard_->Take(now, envelope, outbox);
    timeline_->Take(*shard_, now, envelope, outbox);
  }
  bool Settle(Outbox& outbox) {
    return timeline_ == nullptr ? shard_->Settle(outbox) : timeline_->Settle(*shard_, outbox);
  }
  void Tick(TimePoint now, Outbox& outbox) { shard_->Tick(now, outbox); }

 private:
  Shard* shard_ = nullptr;
  ShardTimeline* timeline_ = nullptr;
};

}  // namespace shardmill
