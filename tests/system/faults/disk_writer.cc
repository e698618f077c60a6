// Changes a disk as it is told, by the calls that daemons make:
//   disk_writer CHANGE PATH ... CHANGE PATH
// Of "append" the file gets 10,000 times its last letter; "rename" takes it to its name without the
// last letter.
#include <cstdio>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "common/blob/posix_files.h"

namespace shardmill::chaos {
namespace {

Result<> Change(std::string_view change, const std::string& path,
                std::map<std::string, std::unique_ptr<File>>& open) {
  PosixFiles files;
  if (change == "folder") return files.MakeFolder(path);
  if (change == "sync-folder") return files.SyncFolder(path);
  if (change == "remove-folder") return files.RemoveFolder(path);
  if (change == "remove") return files.RemoveFile(path);
  if (change == "rename") return files.Rename(path, path.substr(0, path.size() - 1));
  if (!open.contains(path)) open[path] = SM_TRY(files.CreateNew(path));
  if (change == "sync") return open[path]->Sync();
  const std::string text(10'000, path.back());
  return open[path]->Append(std::as_bytes(std::span(text)));
}

}  // namespace
}  // namespace shardmill::chaos

int main(int argc, char** argv) {
  std::map<std::string, std::unique_ptr<shardmill::File>> open;
  for (int i = 1; i + 1 < argc; i += 2) {
    const shardmill::Result<> changed = shardmill::chaos::Change(argv[i], argv[i + 1], open);
    if (changed.ok()) continue;
    std::fprintf(stderr, "%s\n", changed.error().message.c_str());
    return 1;
  }
  return 0;
}
