#pragma once

#include <string>
#include <vector>

#include "common/result.h"

namespace shardmill {

// The files that paths and patterns name: in the order in which they are given, and those of a
// pattern in the order of their names. An error is kUnavailable and names what is not there.
Result<std::vector<std::string>> ListFiles(const std::vector<std::string>& patterns);

// What tells these files from others that had their names: sizes and times, a line each.
Result<std::string> StampOf(const std::vector<std::string>& paths);

}  // namespace shardmill
