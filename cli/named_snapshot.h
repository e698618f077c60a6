#pragma once

#include <string>
#include <utility>

#include "common/blob/file_system.h"
#include "common/result.h"

namespace shardmill {

// A path as its folder and its last part.
std::pair<std::string, std::string> SplitPath(std::string path);

// A snapshot: the folder where jobs keep theirs, and its own there.
struct NamedSnapshot {
  std::string root;
  std::string folder;
};

// The snapshot that a path names: its own folder, or a job's, whose newest it is. kUnavailable:
// there is none.
Result<NamedSnapshot> FindSnapshot(FileSystem& files, const std::string& path);

}  // namespace shardmill
