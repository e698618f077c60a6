#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "common/blob/blob_store.h"
#include "common/result.h"
#include "snapshot/checked_file.h"
#include "snapshot/image.h"
#include "snapshot/safetensors.h"

namespace shardmill {

// "shard-3.safetensors".
std::string ShardFileName(ShardId shard);

// Writes a shard's file as its parts are handed over: the tables in the order of the head, a dense
// one at once, a sparse one batch by batch. Another order is our own bug. Owned by whoever writes,
// on one thread; the store outlives it. Dropped before Finish, it leaves nothing.
class ShardFileWriter final {
 public:
  // `folder`: the snapshot's, with a slash at its end, or empty.
  static Result<ShardFileWriter> Begin(BlobStore& store, const std::string& folder,
                                       const ShardHead& head, uint64_t piece_bytes = kPieceBytes);

  Result<> Write(const DenseImage& image);
  Result<> Write(const RowBatch& batch);
  Result<SnapshotFile> Finish();

 private:
  ShardFileWriter(CheckedWriter file, const ShardHead& head, TensorIndex index);

  // The table that comes next; tables without any rows are passed over.
  const TableHead& Next();
  // Writes frames that are the next tensor together.
  Result<> WriteTensor(std::span<const Frame> frames);

  CheckedWriter file_;
  ShardHead head_;
  TensorIndex index_;
  size_t tensor_ = 0;  // The next.
  size_t table_ = 0;   // The one under way.
  uint64_t rows_ = 0;  // Of that one, written.
  uint64_t content_ = 0;
};

// What a shard's file says of itself, where there is no manifest that has its checksums.
Result<ShardHead> ReadShardHead(BlobStore& store, const std::string& name);

// Reads a shard's file, in parts, each checked before it is given. Owned by whoever reads, on one
// thread; the store outlives it. What is wrong with the file is kBadInput and names it.
class ShardFileReader final {
 public:
  static Result<ShardFileReader> Open(BlobStore& store, const std::string& folder,
                                      const SnapshotFile& file);

  const ShardHead& head() const { return head_; }
  const TableHead* Find(TableId table) const;
  std::string place() const { return file_.place(); }

  // Gives the floats [begin, end) of a slot of a dense table, piece by piece, from left to right.
  using TakeFloats = std::function<Result<>(DensePiece piece)>;
  Result<> ReadDense(TableId table, uint32_t slot, uint64_t begin, uint64_t end,
                     const TakeFloats& take);
  // A batch of a sparse table, counted from 0; only its keys, where no more is wanted.
  Result<RowBatch> ReadRows(TableId table, uint64_t batch);
  Result<Frame> ReadKeys(TableId table, uint64_t batch);

 private:
  ShardFileReader(CheckedReader file, ShardHead head, TensorIndex index);

  Result<Frame> ReadTensor(const std::string& name);
  Result<Frame> ReadBytes(uint64_t begin, uint64_t end);

  CheckedReader file_;
  ShardHead head_;
  TensorIndex index_;
};

}  // namespace shardmill
