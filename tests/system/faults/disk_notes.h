#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "common/process/file_descriptor.h"
#include "common/result.h"

namespace shardmill::chaos {

// What is known to be on a disk, in files of a folder: noted by fault_preload.so in each process
// that writes to that disk whenever something is synced, and read when the power is cut. It
// outlives the processes. A value; any thread.
class DiskNotes final {
 public:
  // What no later file or folder is called, whatever becomes of its name.
  using Id = std::string;
  struct Entry {
    Id id = {};
    bool folder = false;

    bool operator==(const Entry&) const = default;
  };
  using Names = std::map<std::string, Entry>;

  explicit DiskNotes(std::string folder) : folder_(std::move(folder)) {}

  // The folder is there from now on.
  Result<> Begin() const;

  // Empty where nothing is there.
  static Id IdOf(const std::string& path);
  static Names NamesIn(const std::string& folder);

  // Of a file: how many of its bytes last. Nothing where none were ever synced.
  std::optional<uint64_t> Bytes(const Id& file) const;
  bool SetBytes(const Id& file, uint64_t bytes) const;

  // Of a folder: which names in it last. Whoever changes them holds the lock from before he looks
  // for what is there.
  Names LastingNames(const Id& folder) const;
  bool SetLastingNames(const Id& folder, const Names& names) const;
  FileDescriptor LockNames(const Id& folder) const;

  // A file that may lose its name can be found under another from now on. False where it is not
  // there.
  bool Keep(const std::string& path) const;
  std::string KeptPath(const Id& file) const { return folder_ + "/kept-" + file; }

 private:
  std::string NamesPath(const Id& folder) const { return folder_ + "/names-" + folder; }
  std::string BytesPath(const Id& file) const { return folder_ + "/bytes-" + file; }

  std::string folder_;
};

}  // namespace shardmill::chaos
