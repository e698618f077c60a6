#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/clock.h"
#include "common/frame_pool.h"
#include "common/messages.h"
#include "server/follow_stream.h"
#include "server/recent_items.h"
#include "server/shard_copy.h"

namespace shardmill {

struct FollowerOptions {
  ShardId shard;
  Duration retry_after = std::chrono::milliseconds(500);
  uint64_t window_bytes = uint64_t{64} << 20;  // Sent to a replica and not taken by it yet.
  uint64_t backlog_bytes = uint64_t{1} << 30;  // Of one that catches up: more, and pushes wait.
  // One that takes nothing for so long, though there is something for it, is no copy any more.
  Duration give_up_after = std::chrono::seconds(10);
};

// The primary's side of its replicas: a stream to each, sent again until it is taken, and the word
// on how far all are. Messages and `now` in, messages out. Owned by a Shard, on its thread.
//
// A replica that is new gets an image first, and is in sync from the moment at which it has taken
// all that there is; from then on the shard answers nothing that it does not have. It counts when
// the coordinator has that on disk, and may promote it.
class Followers final {
 public:
  Followers(const FollowerOptions& options, ShardCopy& copy, FramePool& frames);

  // The coordinator's word on who they are. An older one than the last is nothing.
  void Set(const Replicas& replicas);
  uint64_t number() const { return number_; }  // Of the last such word; 0: none yet.
  Term log() const { return log_; }            // Whose log counts, by that word.
  // Whoever moves the IO connects those that have no peer yet.
  std::vector<ReplicaPlace> Unattached() const;
  void Attach(BootId boot, PeerId peer);

  // What a replica of before this shard's promotion may lack goes to those that may go on from it.
  void GoOn(const CopyResume& resume, RecentItems items);

  // There is nobody, and nothing kept for anybody.
  bool idle() const { return replicas_.empty() && !heritage_; }
  // Something goes to somebody; one reads an image, of which there is one at a time.
  bool begun() const;
  bool ReadsImage() const;
  // What the shard has taken, to all.
  void Append(const Entry& entry);
  void Append(const View& view);
  void Append(const CopyCheck& check);
  // The tables are not what they were: all begin anew.
  void BeginAnew();
  // A snapshot needs the image that one may be reading: it begins anew when `image_free` again.
  void DropImage();

  void Advance(TimePoint now, const Stamp& stamp, bool image_free, Outbox& outbox);
  void On(const Followed& followed, TimePoint now, const Envelope& from);

  // Entries that all in-sync replicas have taken; all there are, where none is in sync.
  uint64_t Kept() const;
  // How many are in sync, how many of these the coordinator knows of, and which they are.
  uint32_t in_sync() const;
  uint32_t counted() const;
  std::vector<uint64_t> InSync() const;
  // Who lacks what the shard has taken, where so many copies must have it: in words.
  std::string Awaited(uint32_t copies_min) const;
  // One that catches up is so far behind that the shard must wait for it.
  bool Crowded() const;
  // The stream of a replica that is no copy any more, until the coordinator has heard of it; 0:
  // none.
  uint64_t differing() const { return differing_; }
  const std::string& why() const { return why_; }

 private:
  struct Replica {
    ReplicaPlace place;
    std::optional<PeerId> peer;
    FollowStream stream;
    Duration retry_after;
    TimePoint given_at{};   // What it has not taken, for the last time.
    TimePoint heard_at{};   // It answered then, or had nothing to answer.
    TimePoint got_on_at{};  // It took something then, or had nothing to take.
  };

  // Until all replicas that may go on from it have begun.
  struct Heritage {
    CopyResume resume;
    RecentItems items;
  };

  // With one that catches up, in times of that with one that is in sync.
  static constexpr int kPatienceLeast = 8;
  static constexpr int kPatienceMost = 64;

  void Begin(Replica& replica, bool image_free);
  void Send(Replica& replica, TimePoint now, const Stamp& stamp, Outbox& outbox);
  void GotOn(Replica& replica, TimePoint now);
  void GiveUpSilent(const Replica& replica, TimePoint now);

  FollowerOptions options_;
  ShardCopy& copy_;
  FramePool& frames_;
  uint64_t number_ = 0;
  Term log_;
  std::vector<std::unique_ptr<Replica>> replicas_;
  std::optional<Heritage> heritage_;
  std::optional<TimePoint> looked_at_;
  Duration patience_;  // With one that catches up; twice as much each time that one was given up.
  uint64_t differing_ = 0;
  bool silent_ = false;  // That is all that is wrong with it.
  std::string why_;
};

}  // namespace shardmill
