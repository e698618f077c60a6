#include "cli/control_groups.h"

#include <algorithm>
#include <fstream>
#include <sstream>
#include <vector>

namespace shardmill {
namespace {

// What the files of a version are called.
struct GroupFiles {
  const char* limit;
  const char* used;
  const char* cached;  // In memory.stat.
  const char* quota;
  const char* period;  // Empty: behind the quota in its file.
};
constexpr GroupFiles kVersion1 = {"/memory.limit_in_bytes", "/memory.usage_in_bytes",
                                  "total_inactive_file", "/cpu.cfs_quota_us", "/cpu.cfs_period_us"};
constexpr GroupFiles kVersion2 = {"/memory.max", "/memory.current", "inactive_file", "/cpu.max",
                                  ""};

template <class T>
void Lower(std::optional<T>* limit, T other) {
  *limit = limit->has_value() ? std::min(**limit, other) : other;
}

void Read(const GroupFiles& files, const std::string& group, GroupLimits* limits) {
  const auto most = NumberIn(group + files.limit);
  const auto used = NumberIn(group + files.used);
  if (most && used) {
    const uint64_t cached = NumberIn(group + "/memory.stat", files.cached).value_or(0);
    const uint64_t held = *used - std::min(*used, cached);
    Lower(&limits->memory_left, *most - std::min(*most, held));
  }
  const std::string quota_file = group + files.quota;
  std::optional<uint64_t> quota = NumberIn(quota_file);
  std::optional<uint64_t> period;
  if (*files.period != '\0') {
    period = NumberIn(group + files.period);
  } else if (quota) {
    period = NumberIn(quota_file, std::to_string(*quota));
  }
  if (quota && period && *period > 0) {
    Lower(&limits->processors, static_cast<double>(*quota) / static_cast<double>(*period));
  }
}

// The group and all above it: each may have a limit of its own.
void ReadUpwards(const GroupFiles& files, const std::string& mount, std::string group,
                 GroupLimits* limits) {
  while (true) {
    Read(files, mount + group, limits);
    if (group.empty()) return;
    group.resize(group.rfind('/'));
  }
}

}  // namespace

GroupLimits ReadGroupLimits(const std::string& list, const std::string& root) {
  GroupLimits limits;
  std::ifstream lines(list);
  for (std::string line; std::getline(lines, line);) {  // NUMBER:CONTROLLERS:/GROUP
    const size_t first = line.find(':');
    const size_t second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    std::string group = line.substr(second + 1);
    if (group == "/" || !group.starts_with('/')) group.clear();
    std::istringstream controllers(line.substr(first + 1, second - first - 1));
    std::string name;
    if (controllers.peek() == EOF) ReadUpwards(kVersion2, root, group, &limits);
    while (std::getline(controllers, name, ',')) {
      if (name != "memory" && name != "cpu") continue;
      ReadUpwards(kVersion1, root + "/" + name, group, &limits);
    }
  }
  return limits;
}

std::optional<uint64_t> NumberIn(const std::string& path, const std::string& after) {
  std::ifstream file(path);
  std::string word;
  while (!after.empty() && word != after && file >> word) continue;
  if (file >> word && std::ranges::all_of(word, [](char c) { return c >= '0' && c <= '9'; })) {
    std::istringstream digits(word);
    uint64_t number = 0;
    if (digits >> number) return number;
  }
  return {};
}

}  // namespace shardmill
