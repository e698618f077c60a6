#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "common/blob/file_system.h"
#include "common/result.h"

namespace shardmill {

// Records that outlive their process and the machine's power: in one file, one after the other,
// each with its length and a checksum, and on disk when Append returns. Owned by one agent, on its
// thread, and by one process at a time: whoever opens it sees to that. The file system outlives it.
class RecordLog final {
 public:
  using Visit = std::function<Result<>(std::span<const std::byte> record)>;

  // In a folder that is there. `visit` sees each record that is there, in order. What a crash has
  // left half-written at the end is cut off; damage anywhere else is an error. What is there is
  // written once more, to a file of its own: another may have a hole where a sync has failed.
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
  Result<uint64_t> Next(std::span<const std::byte> rest, uint64_t at) const;
  Result<std::vector<std::byte>> Framed(std::span<const std::byte> record) const;
  // A new file with these bytes takes the place of the one that is there: wholly, or not at all.
  Result<> Replace(std::span<const std::byte> all);
  // Has the bytes on disk, at the file's end.
  Result<> Write(std::span<const std::byte> bytes);

  FileSystem& files_;
  std::string path_;
  std::unique_ptr<File> file_;  // At its end. None: a write has failed.
  uint64_t bytes_ = 0;
};

}  // namespace shardmill
