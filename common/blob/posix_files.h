#pragma once

#include <memory>
#include <string>
#include <vector>

#include "common/blob/file_system.h"

namespace shardmill {

// The folder that a file or a folder lies in, by its path alone.
std::string ParentOf(std::string path);

// The machine's own file system. Holds nothing; any thread.
class PosixFiles final : public FileSystem {
 public:
  Result<std::unique_ptr<File>> CreateNew(const std::string& path) override;
  Result<uint64_t> Size(const std::string& path) override;
  Result<> Read(const std::string& path, uint64_t begin, std::span<std::byte> to) override;
  Result<std::vector<FolderEntry>> ListFolder(const std::string& path) override;
  Result<> MakeFolder(const std::string& path) override;
  Result<> SyncFolder(const std::string& path) override;
  Result<> Rename(const std::string& from, const std::string& to) override;
  Result<> RemoveFile(const std::string& path) override;
  Result<> RemoveFolder(const std::string& path) override;
};

}  // namespace shardmill
