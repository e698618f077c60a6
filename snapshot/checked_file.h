#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "common/blob/blob_store.h"
#include "common/result.h"

namespace shardmill {

// What a manifest says of a file: enough to tell any other bytes from it, a piece at a time, so
// that a reader of a part need not read it all.
struct SnapshotFile {
  std::string name = {};  // Within the snapshot's folder.
  uint64_t bytes = 0;
  uint64_t piece_bytes = 0;
  std::vector<uint32_t> piece_crcs = {};  // CRC-32C of each piece; the last may be smaller.
  uint64_t content = 0;                   // The logical hash of what is in it; see content.h.

  bool operator==(const SnapshotFile&) const = default;
};

inline constexpr uint64_t kPieceBytes = uint64_t{4} << 20;
inline constexpr uint64_t kPieceBytesMax = uint64_t{256} << 20;

// Writes a file and notes what a SnapshotFile says of it. Owned by whoever writes, on one thread;
// errors are those of the store.
class CheckedWriter final {
 public:
  static Result<CheckedWriter> Create(BlobStore& store, const std::string& folder,
                                      const std::string& name, uint64_t piece_bytes);

  Result<> Append(std::span<const std::byte> bytes);
  // The file is durable, and as the value says.
  Result<SnapshotFile> Commit();

 private:
  CheckedWriter(std::unique_ptr<BlobWriter> writer, const std::string& name, uint64_t piece_bytes);

  std::unique_ptr<BlobWriter> writer_;
  SnapshotFile file_;
  uint32_t crc_ = 0;        // Of the piece under way.
  uint64_t crc_bytes_ = 0;  // In it.
};

// Reads a file that was written so, and gives no byte of a piece that is not as it was written.
// Owned by whoever reads, on one thread; the store outlives it. What is wrong with the file is
// kBadInput and names file and place.
class CheckedReader final {
 public:
  static Result<CheckedReader> Open(BlobStore& store, const std::string& folder,
                                    const SnapshotFile& file);

  uint64_t bytes() const { return file_.bytes; }
  std::string place() const { return store_->PlaceOf(name_); }
  Result<> Read(uint64_t begin, std::span<std::byte> to);

 private:
  CheckedReader(BlobStore& store, std::string name, const SnapshotFile& file);

  Result<> Load(uint64_t piece);

  BlobStore* store_;
  std::string name_;
  SnapshotFile file_;
  std::vector<std::byte> piece_;  // The last that was read.
  std::optional<uint64_t> loaded_;
};

}  // namespace shardmill
