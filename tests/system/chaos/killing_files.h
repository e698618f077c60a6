#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "common/blob/posix_files.h"

namespace shardmill::chaos {

// When a process kills itself: at that change of the file system, counted from 1; 0: never.
struct KillPoint {
  enum class How : uint8_t { kBefore, kHalf, kAfter };  // Half: of what is appended.

  uint64_t change = 0;
  How how = How::kBefore;
};

// The machine's own file system, for a program that is to be killed at each call that changes
// something. Owned by main; one thread.
class KillingFiles final : public FileSystem {
 public:
  explicit KillingFiles(KillPoint point) : point_(point) {}

  uint64_t changes() const { return changes_; }  // So far.

  Result<std::unique_ptr<File>> CreateNew(const std::string& path) override;
  Result<uint64_t> Size(const std::string& path) override { return files_.Size(path); }
  Result<> Read(const std::string& path, uint64_t begin, std::span<std::byte> to) override {
    return files_.Read(path, begin, to);
  }
  Result<std::vector<FolderEntry>> ListFolder(const std::string& path) override {
    return files_.ListFolder(path);
  }
  Result<> MakeFolder(const std::string& path) override;
  Result<> SyncFolder(const std::string& path) override;
  Result<> Rename(const std::string& from, const std::string& to) override;
  Result<> RemoveFile(const std::string& path) override;
  Result<> RemoveFolder(const std::string& path) override;

 private:
  class Writer;

  // Counts a change and does it, unless the process ends. `half`: what it does in halves.
  template <class Change, class Half>
  auto Count(Change change, Half half);
  template <class Change>
  auto Count(Change change) {
    return Count(change, [] {});
  }

  KillPoint point_;
  PosixFiles files_;
  uint64_t changes_ = 0;
};

}  // namespace shardmill::chaos
