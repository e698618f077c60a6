#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "common/blob/file_system.h"
#include "common/frame_pool.h"
#include "common/messages.h"
#include "common/result.h"
#include "common/wire/wire.h"

namespace shardmill {

// A shard's log: one file, which is the stream that a replica would be sent, as it would be sent.
// It is written in batches, each with a checksum and on disk before the next is begun: so only the
// last one may be half there after a crash, and a sound one behind a bad one is damage. A batch is
// found behind a bad one by its head: damage to that of the bad one and to all behind it at once
// cannot be told from a write cut off.
inline constexpr size_t kShardLogHeadBytes = 24;

// Writes one, beside the one that is there, whose place it takes when it is told to. Owned by
// whoever writes, on one thread; file system and pool outlive it. After an error nobody knows what
// is on disk: it takes nothing more, and is never tried again.
class ShardLogWriter final {
 public:
  // In a folder that is there.
  static Result<std::unique_ptr<ShardLogWriter>> Begin(FileSystem& files, const std::string& path,
                                                       FramePool& frames);

  // The batch is on disk when this returns. `takes_over`: and the file is the log from then on.
  Result<> Append(const Stamp& stamp, std::span<const Follow> items, bool takes_over);
  uint64_t bytes() const { return bytes_; }

 private:
  ShardLogWriter(FileSystem& files, std::string path, FramePool& frames);

  Result<> Write(const Stamp& stamp, std::span<const Follow> items, bool takes_over);

  FileSystem& files_;
  std::string path_;
  WireCodec codec_;
  std::unique_ptr<File> file_;  // At its end. None: a write has failed.
  uint32_t batches_ = 0;
  uint64_t bytes_ = 0;
};

// Shows all items of a log, in order; believes nothing. What a crash has left half-written at the
// end is left out. kUnavailable: there is no log; kBadInput: it is damaged, or another file.
using VisitLog = std::function<Result<>(const Stamp& stamp, Follow item)>;
Result<> ReadShardLog(FileSystem& files, const std::string& path, FramePool& frames,
                      const VisitLog& visit);

}  // namespace shardmill
