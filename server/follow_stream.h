#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <variant>

#include "common/frame_pool.h"
#include "common/messages.h"
#include "server/log_entry.h"
#include "server/shard_copy.h"
#include "server/shard_image.h"

namespace shardmill {

// What a shard takes, as it goes to its followers: units of one range summed where that is all that
// a copy of the shard needs of them.
Entry EntryOf(const LogEntry& log, const ShardCopy& copy, FramePool& frames);

// What one follower of a shard is given, in order and with numbers: an image of the shard, piece by
// piece while steps go on, and then all that the shard takes. And how much of it the follower has.
// It is in sync from the moment at which it has all there is, and is waited for from then on. Owned
// by the shard's side of the follower, on its thread; the copy and the pool outlive it.
class FollowStream final {
 public:
  using What = decltype(Follow::what);
  struct Item {
    uint64_t number = 0;
    What what;
    uint64_t version = 0;  // Entries that whoever has it has.
    uint64_t bytes = 0;
  };

  // `window_bytes`: given and not taken yet.
  FollowStream(ShardCopy& copy, FramePool& frames, uint64_t window_bytes);

  // From the shard as it is now.
  void Begin();
  // From what a copy has that has followed another; `items` are what it may lack.
  void Resume(const CopyResume& from, const std::deque<Item>& items);
  // From nothing. Numbers go on: the follower must not take an item of before for a later one.
  void BeginAnew();
  bool begun() const { return begun_; }
  bool ReadsImage() const { return image_ != nullptr; }
  // As much of it as the window takes.
  void ReadImage();

  void Append(const Entry& entry);
  void Append(const View& view) { AppendItem(view); }
  void Append(const CopyCheck& check) { AppendItem(check); }

  // The next item to give, if there is one and the window has room: it counts as given then.
  const Item* Next();
  bool waits() const { return given_ > taken_; }  // Something is given and not taken.
  // Gives again what is not taken.
  void GiveAgain();
  // All up to that one are taken; false where that is known.
  bool Taken(uint64_t number);

  bool in_sync() const { return in_sync_; }
  uint64_t version() const { return version_; }              // Entries that are taken.
  uint64_t backlog_bytes() const { return backlog_bytes_; }  // Of entries, while it catches up.

 private:
  void AppendItem(What what);
  void PushPieces(const Entry& entry);
  void Push(Item item);
  void Add(Item item);

  ShardCopy& copy_;
  FramePool& frames_;
  uint64_t window_bytes_;
  bool begun_ = false;
  bool in_sync_ = false;
  std::unique_ptr<ShardImage> image_;  // While it is read.
  uint64_t filled_ = 0;                // When it was begun.
  std::deque<Item> later_;             // What follows the image.
  std::deque<Item> items_;             // Not taken yet, in order.
  uint64_t last_ = 0;                  // The number of the last item made,
  uint64_t given_ = 0;                 // of the last given,
  uint64_t taken_ = 0;                 // and of the last taken.
  uint64_t version_ = 0;
  uint64_t queued_bytes_ = 0;  // Of items_,
  uint64_t given_bytes_ = 0;   // and of those of them that are given.
  uint64_t backlog_bytes_ = 0;
};

}  // namespace shardmill
