#pragma once

#include <string_view>

namespace shardmill {

// The version of what is compiled, and of the headers that a program is compiled with: what a
// change of each of its numbers means stands in CHANGELOG.md.
inline constexpr std::string_view kShardmillVersion = "0.1.0";

// That of the library that a program runs with.
std::string_view Version();

}  // namespace shardmill
