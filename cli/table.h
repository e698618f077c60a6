#pragma once

#include <string>
#include <vector>

namespace shardmill {

using TableRow = std::vector<std::string>;

// Columns as wide as their widest cell; the last is as wide as it is.
std::string AlignTable(const std::vector<TableRow>& rows);

}  // namespace shardmill
