#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "common/result.h"

namespace shardmill {

// Bytes that come one after the other: of a file, of what it unpacks to, or of memory. Owned by a
// reader, on its thread. Errors name the file.
class ByteSource {
 public:
  virtual ~ByteSource() = default;

  // Fills some of `to`, which is not empty, and tells how much; 0: there is no more.
  virtual Result<size_t> Read(std::span<uint8_t> to) = 0;
};

// The bytes of a file, unpacked where its first bytes say that it is gzip, Zstandard, bzip2 or xz.
// One that is not there is ErrorCode::kUnavailable.
Result<std::unique_ptr<ByteSource>> OpenSource(const std::string& path);

// The same for bytes in memory, which must outlive it; `name` stands for the path in messages.
std::unique_ptr<ByteSource> SourceOf(std::span<const uint8_t> bytes, const std::string& name);

// All that is left. More than `bytes_max` is an error.
Result<std::vector<uint8_t>> ReadAll(ByteSource& source, const std::string& name,
                                     uint64_t bytes_max);

// All bytes of a file, unpacked.
Result<std::vector<uint8_t>> ReadWhole(const std::string& path, uint64_t bytes_max);

}  // namespace shardmill
