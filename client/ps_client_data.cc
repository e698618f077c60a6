// The part of PsClient for workers that lease their data.

#include <algorithm>

#include "client/ps_client.h"

namespace shardmill {
namespace {

// Between two empty steps, at least and at most: so long a worker that has data again may wait for
// one that has none.
constexpr Duration kIdleMin = std::chrono::milliseconds(1);
constexpr Duration kIdleMax = std::chrono::milliseconds(50);

}  // namespace

void PsClient::TickData(TimePoint now, Outbox& outbox) {
  if (!feed_ || !granted_ || leaving_ || !feed_->Wants()) return;
  if (!feed_->HasNews() && !Due(data_, now)) return;
  data_.MarkFirst(now);
  SendToCoordinator(feed_->Request(sender()), outbox);
}

void PsClient::On(const Leased& leased, TimePoint /*now*/, const Envelope& from,
                  Outbox& /*outbox*/) {
  if (from.peer != options_.coordinator || !feed_ || leased.rank != options_.rank) return;
  if (from.stamp.generation != generation_) return;
  feed_->Take(leased);
}

bool PsClient::MayIdle(TimePoint now) {
  const Policy& policy = view_.policy;
  if (policy.apply == ApplyRule::kOnArrival && !policy.bounded) return false;
  if (!idle_from_) idle_from_ = now;
  return now - *idle_from_ >= idle_wait_;
}

// The step is over, and so what it has taken is used.
void PsClient::FinishData() {
  if (!feed_) return;
  feed_->FinishStep();
  idle_from_.reset();
  if (samples_ > 0) return;
  // Where the others have data, rounds close as fast as they can; else nobody waits.
  const bool moves = filled_ != idle_filled_;
  idle_wait_ = moves ? Duration{} : std::clamp(2 * idle_wait_, kIdleMin, kIdleMax);
  idle_filled_ = filled_;
}

}  // namespace shardmill
