#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "common/clock.h"
#include "common/frame_pool.h"
#include "common/messages.h"
#include "server/shard_copy.h"
#include "server/shard_image.h"

namespace shardmill {

struct FollowerOptions {
  ShardId shard;
  Duration retry_after = std::chrono::milliseconds(500);
  uint64_t window_bytes = uint64_t{64} << 20;  // Sent to a replica and not taken by it yet.
  uint64_t backlog_bytes = uint64_t{1} << 30;  // Of one that catches up: more, and pushes wait.
};

// The primary's side of its replicas: a stream of items to each, sent again until they are taken,
// and the word on how far all are. Messages and `now` in, messages out. Owned by a Shard, on its
// thread.
//
// A replica that is new gets an image first, and counts as in sync from the moment at which it has
// taken all that there is; from then on the shard answers nothing that it does not have.
class Followers final {
 public:
  Followers(const FollowerOptions& options, ShardCopy& copy, FramePool& frames);

  // The coordinator's word on who they are. An older one than the last is nothing.
  void Set(const Replicas& replicas);
  uint64_t number() const { return number_; }  // Of the last such word; 0: none yet.
  // Whoever moves the IO connects those that have no peer yet.
  std::vector<ReplicaPlace> Unattached() const;
  void Attach(BootId replica, PeerId peer);

  // What the shard has taken, to all.
  void Append(const LogEntry& entry);
  void Append(const View& view) { AppendItem(view); }
  void Append(const CopyCheck& check) { AppendItem(check); }
  // The tables are not what they were: all begin anew.
  void BeginAnew();
  // A snapshot needs the image that one may be reading: it begins anew when `image_free` again.
  void DropImage();

  void Advance(TimePoint now, const Stamp& stamp, bool image_free, Outbox& outbox);
  void On(const Followed& followed, const Envelope& from);

  // Entries that all in-sync replicas have taken; all there are, where none is in sync.
  uint64_t Kept() const;
  // How many are in sync, and which.
  uint32_t in_sync() const;
  std::vector<uint64_t> InSync() const;
  // One that catches up is so far behind that the shard must wait for it.
  bool Crowded() const;
  // The stream of a replica that has said that it is no copy any more, until the coordinator has
  // heard of it; 0: none.
  uint64_t differing() const { return differing_; }
  const std::string& why() const { return why_; }

 private:
  struct Item {
    Follow message;
    uint64_t version = 0;  // Entries that whoever has taken it has.
    uint64_t bytes = 0;
  };
  struct Stream {
    ReplicaPlace place;
    std::optional<PeerId> peer;
    bool begun = false;
    bool in_sync = false;
    std::unique_ptr<ShardImage> image;  // While it is read.
    uint64_t filled = 0;                // When it was begun.
    std::deque<Item> later;             // What follows the image.
    std::deque<Item> items;             // Not taken yet, in order.
    uint64_t last = 0;                  // The number of the last item made,
    uint64_t taken = 0;                 // and of the last taken;
    uint64_t sent = 0;                  // and sent.
    uint64_t version = 0;               // Of what is taken.
    uint64_t queued_bytes = 0;          // Of items,
    uint64_t flying_bytes = 0;          // of those of them that were sent,
    uint64_t backlog_bytes = 0;         // and of entries while it catches up.
    TimePoint heard_at{};
  };

  void AppendItem(decltype(Follow::what) what);
  void Forget(Stream& stream);
  void Begin(Stream& stream);
  void ReadImage(Stream& stream);
  void Add(Stream& stream, Item item);
  Item Make(const Stream& stream, decltype(Follow::what) what, uint64_t bytes) const;
  void SendItems(Stream& stream, TimePoint now, const Stamp& stamp, Outbox& outbox);

  FollowerOptions options_;
  ShardCopy& copy_;
  FramePool& frames_;
  uint64_t number_ = 0;
  std::vector<std::unique_ptr<Stream>> streams_;
  uint64_t differing_ = 0;
  std::string why_;
};

}  // namespace shardmill
