#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "common/blob/file_system.h"
#include "common/result.h"

namespace shardmill {

// Records that outlive their process and the machine's power: in one file, one after the other,
// each with its length and a checksum, and on disk when Append returns. Owned by one agent, on its
// thread, and by one process at a time: whoever opens it sees to that. The file system outlives it.
class RecordLog final {
 public:
  using Visit = std::function<Result<>(std::span<const std::byte> record)>;

  // Makes the file where there is none, in a folder that is there. `visit` sees each record that is
  // there, in order. What a crash has left half-written at the end is cut off; damage anywhere else
  // is an error.
  static Result<std::unique_ptr<RecordLog>> Open(FileSystem& files, const std::string& path,
                                                 const Visit& visit);

  // After an error nobody knows what is on disk: the log takes nothing more, and whoever needs it
  // must end.
  Result<> Append(std::span<const std::byte> record);

  // The record takes the place of all that are there: wholly, or not at all.
  Result<> Rewrite(std::span<const std::byte> record);

  uint64_t bytes() const { return bytes_; }
  const std::string& path() const { return path_; }

 private:
  RecordLog(FileSystem& files, std::string path) : files_(files), path_(std::move(path)) {}

  Result<> Read(const Visit& visit);
  Result<> Begin();
  Result<uint64_t> Next(std::span<const std::byte> rest, uint64_t at) const;
  // Has the bytes on disk, at the file's end.
  Result<> Write(std::span<const std::byte> bytes);

  FileSystem& files_;
  std::string path_;
  std::unique_ptr<File> file_;  // At its end. None: a write has failed.
  uint64_t bytes_ = 0;
};

}  // namespace shardmill
