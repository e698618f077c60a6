#pragma once

#include <string>

#include "common/blob/file_system.h"
#include "common/result.h"

namespace shardmill {

// A folder, with all above it that are not there, each on disk before what is in it is made; and
// the folder itself on disk, also where a process made it that has ended before that was so.
Result<> MakeFolders(FileSystem& files, const std::string& path);

}  // namespace shardmill
