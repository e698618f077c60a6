#pragma once

#include <string>
#include <string_view>

namespace shardmill {

// What --version prints: the program, its version, the versions of the protocol that it speaks and
// how it was built, a line each.
std::string VersionText(std::string_view program);

}  // namespace shardmill
