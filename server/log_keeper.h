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
#include "server/log_work.h"
#include "server/shard_copy.h"

namespace shardmill {

struct KeeperOptions {
  ShardId shard;
  uint64_t window_bytes = uint64_t{64} << 20;   // On its way to the disk.
  uint64_t backlog_bytes = uint64_t{1} << 30;   // Of a file that catches up: more, and pushes wait.
  uint64_t entries_bytes = uint64_t{64} << 20;  // So many at least before another file is begun.
  Duration retry_after = std::chrono::milliseconds(500);  // When one has failed.
  Duration named_after = std::chrono::seconds(5);         // A disk that says nothing.
};

// The primary's side of its log: a follower that never answers back, on a disk. A file begins with
// an image, and is the log when it has all there is; when its entries are more than its image,
// another begins beside it, and takes its place. One that has failed is left, and another begins.
// Owned by a Shard, on its thread; the copy and the pool outlive it.
class LogKeeper final {
 public:
  LogKeeper(const KeeperOptions& options, ShardCopy& copy, FramePool& frames);

  // What the shard has taken.
  template <class What>
  void Append(const What& what) {
    if (log_) log_->stream.Append(what);
    if (next_) next_->stream.Append(what);
  }
  bool begun() const { return log_ != nullptr || next_ != nullptr; }
  bool ReadsImage() const { return next_ && next_->stream.ReadsImage(); }
  // The tables are not what they were.
  void BeginAnew();
  // A snapshot needs the image that may be read: it is read anew when `image_free` again.
  void DropImage();
  void Advance(TimePoint now, bool image_free);

  // What the disk is to do next, if anything; what comes of it.
  std::optional<LogBatch> Next(TimePoint now, const Stamp& stamp);
  void On(const LogWritten& written);

  // There is a log that has all there is: it is waited for. And entries that it has.
  bool whole() const { return log_ != nullptr; }
  uint64_t Kept() const;
  bool Crowded() const { return next_ && next_->stream.backlog_bytes() > options_.backlog_bytes; }
  uint64_t bytes() const { return log_ ? log_->bytes : 0; }
  // Why the last file that failed did.
  const std::string& problem() const { return problem_; }
  // That the disk has said nothing for long, though it was asked; empty where it has.
  std::string Hangs(TimePoint now) const;

 private:
  struct Made {
    uint64_t number = 0;
    FollowStream stream;
    bool begins = true;       // Nothing of it was given to the disk.
    bool asked = false;       // A batch is under way,
    TimePoint asked_at{};     // since then,
    uint64_t given = 0;       // up to this item.
    bool takes_over = false;  // It has all, is waited for, and will be the log.
    uint64_t bytes = 0;
    uint64_t image_bytes = 0;  // When it became the log.
  };

  bool Outgrown() const;
  std::optional<LogBatch> BatchOf(Made& file, TimePoint now, const Stamp& stamp);

  KeeperOptions options_;
  ShardCopy& copy_;
  FramePool& frames_;
  std::unique_ptr<Made> log_;
  std::unique_ptr<Made> next_;  // That catches up.
  uint64_t files_ = 0;
  bool failed_ = false;  // And when, the next Advance notes.
  TimePoint begin_at_{};
  std::string problem_;
};

}  // namespace shardmill
