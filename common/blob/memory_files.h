#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/blob/file_system.h"
#include "common/rng.h"

namespace shardmill {

// A disk in memory for the simulator and for tests, which loses at a crash what a real one may:
// bytes that were not synced, or the end of them; files, names and removals whose folder was not
// synced, each by its own chance from the seed. Owned by the test; one thread.
class MemoryFiles final : public FileSystem {
 public:
  explicit MemoryFiles(uint64_t seed);

  // The machine dies within so many changes from now (1: within the next): that change may or may
  // not have happened, and every call fails from then on, until Restart.
  void CrashAfter(uint64_t changes) { crash_at_ = changes_ + changes; }
  // It dies now, and comes back with what the disk has kept.
  void Restart();
  bool crashed() const { return crashed_; }
  // The so many-th sync of a file from now fails, and its bytes may never arrive.
  void FailSyncAfter(uint64_t syncs) { fail_sync_at_ = syncs_ + syncs; }
  // Calls so far that change something.
  uint64_t changes() const { return changes_; }

  Result<std::unique_ptr<File>> CreateNew(const std::string& path) override;
  Result<uint64_t> Size(const std::string& path) override;
  Result<> Read(const std::string& path, uint64_t begin, std::span<std::byte> to) override;
  Result<std::vector<FolderEntry>> ListFolder(const std::string& path) override;
  Result<> MakeFolder(const std::string& path) override;
  Result<> SyncFolder(const std::string& path) override;
  Result<> Rename(const std::string& from, const std::string& to) override;
  Result<> RemoveFile(const std::string& path) override;
  Result<> RemoveFolder(const std::string& path) override;

  // Flips bits of a byte, as a bad disk does.
  void Spoil(const std::string& path, uint64_t at, std::byte bits);
  // Cuts a file off.
  void Truncate(const std::string& path, uint64_t bytes);

 private:
  class Writer;
  struct Node {
    bool folder = false;
    std::vector<std::byte> bytes = {};
    uint64_t synced = 0;  // The bytes that last,
    // but for those that a failed sync has dropped, whatever a later one says.
    std::vector<std::pair<uint64_t, uint64_t>> dropped = {};
  };
  using Nodes = std::map<std::string, std::shared_ptr<Node>>;

  // Counts a change, does it, and dies where it is time to.
  Result<> Change(const std::string& path, const std::function<Result<>()>& change);
  Result<> CheckAlive(const std::string& path) const;
  Node* Find(const std::string& path) const;

  Rng rng_;
  Nodes nodes_;    // As processes see them. Shared: a file may have two names on the disk for now.
  Nodes lasting_;  // As they are found after a crash, if nothing else of them arrived.
  uint64_t changes_ = 0;
  uint64_t syncs_ = 0;
  std::optional<uint64_t> crash_at_;
  std::optional<uint64_t> fail_sync_at_;
  bool crashed_ = false;
};

}  // namespace shardmill
