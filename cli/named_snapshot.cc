#include "cli/named_snapshot.h"

#include <vector>

#include "common/blob/folder_store.h"
#include "snapshot/folder.h"

namespace shardmill {

std::pair<std::string, std::string> SplitPath(std::string path) {
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  const size_t slash = path.find_last_of('/');
  if (slash == std::string::npos) return {".", path};
  return {slash == 0 ? "/" : path.substr(0, slash), path.substr(slash + 1)};
}

Result<NamedSnapshot> FindSnapshot(FileSystem& files, const std::string& path) {
  const auto [parent, last] = SplitPath(path);
  if (NumberOf(last)) {
    const auto [root, job] = SplitPath(parent);
    if (job != "." && job != "..") return NamedSnapshot{root, job + "/" + last + "/"};
  }
  FolderStore store(files, parent);
  std::vector<FoundSnapshot> found;
  if (last != "." && last != "..") found = SM_TRY(ListSnapshots(store, last));
  if (!found.empty()) return NamedSnapshot{parent, found.back().folder()};
  // Without its zeros, as snapshot.resume takes it.
  const auto [root, job] = SplitPath(parent);
  FolderStore of_job(files, root);
  if (job != "." && job != "..") found = SM_TRY(ListSnapshots(of_job, job));
  for (const FoundSnapshot& one : found) {
    if (std::to_string(one.number) == last) return NamedSnapshot{root, one.folder()};
  }
  return Error{ErrorCode::kUnavailable,
               path +
                   ": there is no snapshot here; name FOLDER/JOB/NUMBER, or FOLDER/JOB for the "
                   "newest, as shardmill snapshot ls FOLDER shows them"};
}

}  // namespace shardmill
