#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "common/blob/blob_store.h"
#include "common/result.h"
#include "snapshot/image.h"
#include "snapshot/manifest.h"
#include "snapshot/shard_file.h"

namespace shardmill {

// A complete snapshot, open for reading. Any shard of any number of shards reads its part of each
// table, bit for bit as it was. Owned by whoever reads, on one thread; the store outlives it. What
// is wrong with the files is kBadInput and says where; nothing that is wrong is handed on.
class Snapshot final {
 public:
  // `folder`: as FolderOf has it.
  static Result<Snapshot> Open(BlobStore& store, const std::string& folder);

  const Manifest& manifest() const { return manifest_; }
  // Entries that the furthest shard has applied.
  Result<uint64_t> Version();
  // The file of a shard of the snapshot, checked to be the one that the manifest means.
  Result<ShardFileReader> OpenFile(size_t shard);

  // Gives all that there is of the floats, or the buckets, [begin, end) of a table: the floats slot
  // by slot and the counts of their updates, where they are counted, or the rows.
  using TakePiece = std::function<Result<>(TablePiece piece)>;
  Result<> ReadTable(TableId table, uint64_t begin, uint64_t end, const TakePiece& take);

 private:
  Snapshot(BlobStore& store, std::string folder, Manifest manifest);

  BlobStore* store_;
  std::string folder_;
  Manifest manifest_;
};

}  // namespace shardmill
