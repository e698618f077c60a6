#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/clock.h"
#include "common/log/log.h"
#include "server/coordinator.h"

namespace shardmill {

// What a coordinator's log says of its job: each change of its state, its view and its ranks once,
// and whom it waits for as soon as that is worth a word. Owned by the coordinator's thread.
class StateLog final {
 public:
  // Cuts are over in milliseconds; a wait that lasts so long is named,
  static constexpr Duration kNamedAfter = std::chrono::seconds(1);
  // and again after so long, if it is for something else by then.
  static constexpr Duration kNamedAgainAfter = std::chrono::seconds(10);

  explicit StateLog(const Log& log) : log_(log) {}

  // To be called after each turn. Whether the job's state is another than before.
  bool Look(Coordinator& coordinator, TimePoint now);

 private:
  struct Seen {
    RankStatus::State state = RankStatus::State::kAbsent;
    Incarnation incarnation;
  };
  struct SeenShard {
    uint32_t copy = 0;
    uint32_t in_sync = 0;
    uint64_t differing = 0;
  };

  void LookAtRanks(const Coordinator& coordinator);
  void LookAtWords(const Coordinator& coordinator, TimePoint now);
  void LookAtRollbacks(const Coordinator& coordinator);
  void LookAtReplicas(const Coordinator& coordinator);

  const Log& log_;
  JobState state_ = JobState::kStarting;
  ViewNumber view_;
  std::optional<uint64_t> rollbacks_;  // None: not looked yet.
  std::optional<TimePoint> waits_since_;
  std::optional<TimePoint> named_at_;
  std::string named_;
  std::vector<Seen> ranks_;
  std::vector<SeenShard> shards_;
};

}  // namespace shardmill
