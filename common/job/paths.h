#pragma once

#include <string_view>

// What a key of the job file that is a path may be.
namespace shardmill {

inline constexpr std::string_view kPathForm = "a path";

inline bool IsPathOrNone(std::string_view path) {
  return path.size() < 4096 && path.find('\0') == std::string_view::npos;
}
inline bool IsPath(std::string_view path) { return !path.empty() && IsPathOrNone(path); }

}  // namespace shardmill
