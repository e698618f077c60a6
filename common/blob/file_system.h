#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "common/result.h"

namespace shardmill {

// A file that is open for writing at its end. Owned by whoever writes, on one thread. Its bytes
// last only once Sync has returned well; a Sync that failed may not be tried again, for the system
// may have dropped what it could not write.
class File {
 public:
  virtual ~File() = default;

  virtual Result<> Append(std::span<const std::byte> bytes) = 0;
  virtual Result<> Sync() = 0;
  // False once its last name is gone: nobody will find it again.
  virtual bool HasName() const = 0;
};

struct FolderEntry {
  std::string name;
  bool folder = false;
  uint64_t bytes = 0;
};

// The few calls to the operating system that durable files are made of, so that tests can fail and
// crash at each. What is made, renamed or removed in a folder lasts only once SyncFolder of it has
// returned well. Owned by main, outlives its files; any thread. Errors name path and reason;
// kUnavailable means that there is no such file.
class FileSystem {
 public:
  virtual ~FileSystem() = default;

  // None where the name is taken.
  virtual Result<std::unique_ptr<File>> CreateNew(const std::string& path) = 0;
  virtual Result<uint64_t> Size(const std::string& path) = 0;
  // Exactly so many bytes from `begin` on.
  virtual Result<> Read(const std::string& path, uint64_t begin, std::span<std::byte> to) = 0;
  // What a folder holds, by name; nothing where there is no such folder.
  virtual Result<std::vector<FolderEntry>> ListFolder(const std::string& path) = 0;
  // The parent must be there. A folder that is there already is no error.
  virtual Result<> MakeFolder(const std::string& path) = 0;
  virtual Result<> SyncFolder(const std::string& path) = 0;
  // Takes the place of any file of that name at once.
  virtual Result<> Rename(const std::string& from, const std::string& to) = 0;
  virtual Result<> RemoveFile(const std::string& path) = 0;
  // Leaves a folder that is not empty.
  virtual Result<> RemoveFolder(const std::string& path) = 0;
};

}  // namespace shardmill
