#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "common/process/file_descriptor.h"
#include "common/result.h"

namespace shardmill {

// Records that outlive their process and the machine's power: in one file, one after the other,
// each with its length and a checksum, and on disk when Append returns. Locked against every other
// process for as long as it is open. Owned by one agent, on its thread.
class RecordLog final {
 public:
  using Visit = std::function<Result<>(std::span<const std::byte> record)>;

  // Makes the file, and its folder, where there is none. `visit` sees each record that is there, in
  // order. What a crash has left half-written at the end is cut off; damage anywhere else is an
  // error, and so is another process that has the log (kUnavailable).
  static Result<std::unique_ptr<RecordLog>> Open(const std::string& path, const Visit& visit);

  // After an error nobody knows what is on disk: the log takes nothing more, and whoever needs it
  // must end.
  Result<> Append(std::span<const std::byte> record);

  // The record takes the place of all that are there: wholly, or not at all.
  Result<> Rewrite(std::span<const std::byte> record);

  uint64_t bytes() const { return bytes_; }
  const std::string& path() const { return path_; }

 private:
  RecordLog(std::string path, FileDescriptor lock)
      : path_(std::move(path)), lock_(std::move(lock)) {}

  Result<> Read(const Visit& visit);
  Result<uint64_t> Next(std::span<const std::byte> rest, uint64_t at) const;
  Error Failed(const std::string& doing);

  std::string path_;
  FileDescriptor lock_;  // Of a file beside it, which no rewrite replaces.
  FileDescriptor file_;  // At its end. None: a write has failed.
  uint64_t bytes_ = 0;
};

}  // namespace shardmill
