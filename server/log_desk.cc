#include "server/log_desk.h"

#include <utility>
#include <variant>

#include "common/blob/make_folders.h"

namespace shardmill {

LogDesk::LogDesk(FileSystem& files, std::string folder, ShardId shard, FramePool& frames)
    : files_(&files),
      folder_(std::move(folder)),
      path_(folder_ + "/shard-" + std::to_string(shard.value) + ".log"),
      frames_(&frames) {}

void LogDesk::Do(const LogRequest& request, const TakeAnswer& take) {
  if (const auto* batch = std::get_if<LogBatch>(&request)) {
    static_cast<void>(take(LogWritten{batch->file, Write(*batch)}));
    return;
  }
  writers_.clear();  // It is the first that a shard asks: what the one before it wrote is over.
  // The name of what is found may be a process's that ended before it was on disk.
  Result<> read = files_->SyncFolder(folder_);
  if (read.ok()) {
    read = ReadShardLog(*files_, path_, *frames_, [&](const Stamp& stamp, Follow item) {
      return take(LogItem{stamp, std::move(item)});
    });
  }
  static_cast<void>(take(LogRead{path_, std::move(read)}));
}

Result<uint64_t> LogDesk::Write(const LogBatch& batch) {
  if (batch.begins) {
    SM_TRY(MakeFolders(*files_, folder_));
    writers_[batch.file] = SM_TRY(ShardLogWriter::Begin(*files_, path_, *frames_));
  }
  const auto found = writers_.find(batch.file);
  if (found == writers_.end()) return Error{ErrorCode::kFailed, path_ + ": no such file is open"};
  const Result<> written = found->second->Append(batch.stamp, batch.items, batch.takes_over);
  if (!written.ok()) {
    writers_.erase(found);
    return written.error();
  }
  // What was begun before it is not the log any more.
  if (batch.takes_over) writers_.erase(writers_.begin(), found);
  return found->second->bytes();
}

}  // namespace shardmill
