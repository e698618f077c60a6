#pragma once

#include <string>
#include <vector>

namespace shardmill {

// The command, run as the user nobody: to its peers a process of a stranger, who is met as if on
// another host. Needs the rights of root and `setpriv`; the process ends with its parent.
std::vector<std::string> AsNobody(std::vector<std::string> argv);

}  // namespace shardmill
