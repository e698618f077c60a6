#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace shardmill {

// What this process's control groups leave it of a machine; nothing where they set no limit.
struct GroupLimits {
  std::optional<uint64_t> memory_left;  // What is cached of files can be had.
  std::optional<double> processors;
};

// Of version 1 or 2. `list` is the file with the process's groups, `root` where they are mounted.
GroupLimits ReadGroupLimits(const std::string& list = "/proc/self/cgroup",
                            const std::string& root = "/sys/fs/cgroup");

// The number in a file of the kernel's, behind that word where one is given.
std::optional<uint64_t> NumberIn(const std::string& path, const std::string& after = "");

}  // namespace shardmill
