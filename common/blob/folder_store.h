#pragma once

#include <memory>
#include <string>
#include <vector>

#include "common/blob/blob_store.h"
#include "common/blob/file_system.h"

namespace shardmill {

// A store whose blobs are files under a folder. A blob is written to a file whose name begins with
// a dot, synced, renamed, and its folders are synced up to the store's own: so it is there whole or
// not at all, whatever is killed when. Any thread, if the file system takes any; the file system
// outlives it.
class FolderStore final : public BlobStore {
 public:
  // The folder is made with the first blob; its own parent must be there.
  FolderStore(FileSystem& files, std::string root);

  Result<std::unique_ptr<BlobWriter>> Create(const std::string& name) override;
  Result<uint64_t> Size(const std::string& name) override;
  Result<> Read(const std::string& name, uint64_t begin, std::span<std::byte> to) override;
  Result<std::vector<BlobInfo>> List(const std::string& prefix) override;
  Result<> Remove(const std::string& name) override;
  Result<> RemoveUnfinished(const std::string& prefix) override;
  std::string PlaceOf(const std::string& name) const override { return root_ + "/" + name; }

 private:
  // The folders on the way to a file of the store, the store's own first.
  std::vector<std::string> FoldersOf(const std::string& name) const;
  Result<std::string> PathOf(const std::string& name) const;
  // Calls `visit(name, entry)` for the files in all folders that the prefix allows.
  template <class Visit>
  Result<> Walk(const std::string& folder, const std::string& prefix, Visit visit);

  FileSystem& files_;
  std::string root_;
};

}  // namespace shardmill
