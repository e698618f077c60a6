#pragma once

#include <optional>
#include <utility>
#include <vector>

#include "common/messages.h"
#include "common/timeline/lane.h"

namespace shardmill {

// A session's share of its worker's timeline: requests that leave, answers that come in, and who
// kept a wait waiting. Owned by the session, on its thread. Without a lane each call is a test of a
// pointer.
class SessionTimeline final {
 public:
  // The lane outlives the session.
  explicit SessionTimeline(TimelineLane* lane) : lane_(lane) {}

  TimelineLane* lane() const { return lane_; }

  void Attach(ShardId shard, PeerId peer) {
    if (lane_ != nullptr) shards_.emplace_back(peer, shard);
  }
  void Sends(const Outbox& outbox, const View& view) {
    if (lane_ != nullptr) NoteRequests(outbox, view);
  }
  void Hears(const Envelope& envelope) {
    if (lane_ != nullptr) NoteAnswer(envelope);
  }

  // A wait begins; and what is known of it, once it is over.
  void BeginWait();
  void TellOfWait(TimelineSpan& span) const;

 private:
  void NoteRequests(const Outbox& outbox, const View& view);
  void NoteAnswer(const Envelope& envelope);
  std::optional<ShardId> ShardOf(PeerId peer) const;

  TimelineLane* lane_;
  std::vector<std::pair<PeerId, ShardId>> shards_;  // The latest last.
  std::optional<ShardId> last_shard_;               // To answer, in the wait under way.
  std::optional<WorkerId> slow_worker_;             // That a shard named, in that wait.
};

}  // namespace shardmill
