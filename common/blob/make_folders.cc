#include "common/blob/make_folders.h"

#include <algorithm>
#include <string_view>
#include <vector>

#include "common/blob/posix_files.h"

namespace shardmill {

Result<> MakeFolders(FileSystem& files, const std::string& path) {
  const std::string parent = ParentOf(path);
  if (parent == path) return {};
  std::string_view name = path;
  while (name.ends_with('/')) name.remove_suffix(1);
  name.remove_prefix(name.rfind('/') + 1);
  const std::vector<FolderEntry> entries = SM_TRY(files.ListFolder(parent));
  const bool there = std::ranges::any_of(
      entries, [&](const FolderEntry& entry) { return entry.folder && entry.name == name; });
  // What is there was made when all above it was on disk.
  if (!there) {
    SM_TRY(MakeFolders(files, parent));
    SM_TRY(files.MakeFolder(path));
  }
  return files.SyncFolder(parent);
}

}  // namespace shardmill
