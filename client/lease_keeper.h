#pragma once

#include <optional>

#include "common/clock.h"
#include "common/messages.h"
#include "common/result.h"

namespace shardmill {

// Keeps a rank's lease alive by asking the coordinator again and again, and notices when the rank
// is lost. A pure state machine beside PsClient, so that a thread of its own can run it while the
// caller computes. A lease that could not be renewed is not an error by itself: training goes on
// while the coordinator is away.
class LeaseKeeper final {
 public:
  LeaseKeeper(Sender sender, Stamp stamp, PeerId coordinator, Duration every)
      : sender_(sender), stamp_(stamp), coordinator_(coordinator), every_(every) {}

  void Handle(TimePoint now, const Envelope& envelope);
  void Tick(TimePoint now, Outbox& outbox);
  // The link was gone and is there again: the coordinator wants to hear of this rank at once.
  void LinkBack() { asked_at_.reset(); }
  const std::optional<Error>& failure() const { return failure_; }
  // How long the coordinator has not answered, counted from the first time it was asked.
  Duration Silent(TimePoint now) const { return heard_at_ ? now - *heard_at_ : Duration{0}; }

 private:
  Sender sender_;
  Stamp stamp_;
  PeerId coordinator_;
  Duration every_;
  std::optional<TimePoint> asked_at_;
  std::optional<TimePoint> heard_at_;
  std::optional<Error> failure_;
};

}  // namespace shardmill
