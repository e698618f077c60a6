#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "common/blob/file_system.h"
#include "common/frame_pool.h"
#include "common/ids.h"
#include "common/result.h"
#include "server/log_work.h"
#include "server/shard_log.h"

namespace shardmill {

// Does what one shard asks of the disk of its log. Owned by the agent that may wait for disks, on
// its thread; file system and pool outlive it. What fails is an answer.
class LogDesk final {
 public:
  using Request = LogRequest;
  using Answer = LogAnswer;
  using TakeAnswer = std::function<Result<>(LogAnswer answer)>;

  // `folder`: of this server's logs, made where there is none.
  LogDesk(FileSystem& files, std::string folder, ShardId shard, FramePool& frames);

  // An error of `take` ends a reading early, and is the caller's own.
  void Do(const LogRequest& request, const TakeAnswer& take);

 private:
  Result<uint64_t> Write(const LogBatch& batch);

  FileSystem* files_;
  std::string folder_;
  std::string path_;
  FramePool* frames_;
  std::map<uint64_t, std::unique_ptr<ShardLogWriter>> writers_;  // The log, and the next.
};

}  // namespace shardmill
