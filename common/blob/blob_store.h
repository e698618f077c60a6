#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"

namespace shardmill {

// A blob that is being written. Owned by whoever writes, on one thread; its store outlives it.
// After an error it takes nothing more, and what it had is never tried again: the writer of a blob
// that failed begins a new one. Dropped without Commit, nothing becomes visible.
class BlobWriter {
 public:
  virtual ~BlobWriter() = default;

  virtual Result<> Append(std::span<const std::byte> bytes) = 0;
  // Makes the blob durable, then visible, in place of any that had its name. After an error it may
  // be either: visible and whole, or not there.
  virtual Result<> Commit() = 0;
};

struct BlobInfo {
  std::string name;
  uint64_t bytes = 0;

  bool operator==(const BlobInfo&) const = default;
};

// Named bytes that outlive the process, each visible whole or not at all: the seam to disks, and to
// object stores. A name is made of parts between slashes, none of them empty or beginning with a
// dot. Owned by main; any thread, as its makers say. Everything may fail, with the place and the
// reason; kUnavailable means that there is no such blob.
class BlobStore {
 public:
  virtual ~BlobStore() = default;

  virtual Result<std::unique_ptr<BlobWriter>> Create(const std::string& name) = 0;
  virtual Result<uint64_t> Size(const std::string& name) = 0;
  // Exactly so many bytes from `begin` on.
  virtual Result<> Read(const std::string& name, uint64_t begin, std::span<std::byte> to) = 0;
  // The blobs whose names begin so, by name.
  virtual Result<std::vector<BlobInfo>> List(const std::string& prefix) = 0;
  // Durable when it returns. A blob that is not there is no error.
  virtual Result<> Remove(const std::string& name) = 0;
  // Removes what writers that are gone have left under the prefix; nobody may be writing there.
  virtual Result<> RemoveUnfinished(const std::string& prefix) = 0;
  // The name as an operator finds it.
  virtual std::string PlaceOf(const std::string& name) const = 0;
};

// A whole small blob.
Result<std::string> ReadBlob(BlobStore& store, const std::string& name, uint64_t bytes_max);
Result<> WriteBlob(BlobStore& store, const std::string& name, std::string_view bytes);

}  // namespace shardmill
