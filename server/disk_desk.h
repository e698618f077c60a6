#pragma once

#include <functional>
#include <optional>
#include <string>

#include "common/blob/blob_store.h"
#include "server/disk_work.h"
#include "snapshot/shard_file.h"

namespace shardmill {

// Does what one shard asks of the disk: writes its files of snapshots, and reads tables back. Owned
// by the agent that may wait for disks, on its thread; the store outlives it. What fails is an
// answer.
class DiskDesk final {
 public:
  using Request = DiskRequest;
  using Answer = DiskAnswer;
  using TakeAnswer = std::function<Result<>(DiskAnswer answer)>;

  // `job`: the name under which the snapshots lie in the store.
  DiskDesk(BlobStore& store, std::string job);

  // An error of `take` ends a load early, and is the caller's own.
  void Do(const DiskRequest& request, const TakeAnswer& take);
  // The file under way will not be: nothing more of it is written, and the shard is told.
  void Drop(const Error& why, const TakeAnswer& take);

 private:
  Result<> Write(const DiskRequest& request, const TakeAnswer& take);
  Result<uint64_t> Load(const LoadTables& load, const TakeAnswer& take);

  BlobStore& store_;
  std::string job_;
  uint64_t snapshot_ = 0;                  // Of the file under way.
  std::optional<ShardFileWriter> writer_;  // None: there is no file, or it has failed.
};

}  // namespace shardmill
