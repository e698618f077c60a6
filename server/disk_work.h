#pragma once

#include <cstdint>
#include <optional>
#include <variant>
#include <vector>

#include "common/ids.h"
#include "common/result.h"
#include "common/view.h"
#include "snapshot/checked_file.h"
#include "snapshot/image.h"

namespace shardmill {

// What a shard has the disk do, in this order: a file is begun by its head, its parts follow in the
// head's order, and its end. Another head begins another file, and drops the one before.
struct FileEnd {
  uint64_t snapshot = 0;
};
// Everything that a snapshot has of the shard's parts of these tables. It may not have all of them.
struct LoadTables {
  uint64_t load = 0;  // Counts them; stands on what comes of it.
  uint64_t snapshot = 0;
  ShardId shard;
  std::vector<TablePlace> tables;
};
using DiskRequest = std::variant<ShardHead, DenseImage, RowBatch, FileEnd, LoadTables>;

// What came of it. A file that was dropped is not spoken of again.
struct FileWritten {
  uint64_t snapshot = 0;
  Result<SnapshotFile> file;
};
struct PieceLoaded {
  uint64_t load = 0;
  TableId table;
  TablePiece piece;
};
struct TablesLoaded {
  uint64_t load = 0;
  Result<uint64_t> version;  // Entries that the furthest shard had applied.
};
using DiskAnswer = std::variant<FileWritten, PieceLoaded, TablesLoaded>;

}  // namespace shardmill
