#include "common/process/cpu_set.h"

#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <charconv>

namespace shardmill {
namespace {

// Takes a number from the front of the text.
std::optional<uint32_t> TakeNumber(std::string_view& text) {
  uint32_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || number >= CPU_SETSIZE) return {};
  text.remove_prefix(static_cast<size_t>(end - text.data()));
  return number;
}

bool TakeSign(std::string_view& text, char sign) {
  if (!text.starts_with(sign)) return false;
  text.remove_prefix(1);
  return true;
}

}  // namespace

std::optional<std::vector<uint32_t>> ParseCpus(std::string_view text) {
  std::vector<uint32_t> cpus;
  if (text.empty()) return cpus;
  do {
    const std::optional<uint32_t> first = TakeNumber(text);
    if (!first) return {};
    const std::optional<uint32_t> last = TakeSign(text, '-') ? TakeNumber(text) : first;
    if (!last || *last < *first) return {};
    for (uint32_t cpu = *first; cpu <= *last; ++cpu) {
      if (std::ranges::find(cpus, cpu) == cpus.end()) cpus.push_back(cpu);
    }
  } while (TakeSign(text, ','));
  if (!text.empty()) return {};
  return cpus;
}

Result<> CheckCpus(std::string_view key, std::span<const uint32_t> cpus) {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  if (sched_getaffinity(0, sizeof(allowed), &allowed) != 0) return {};
  for (const uint32_t cpu : cpus) {
    if (CPU_ISSET(cpu, &allowed)) continue;
    return Error{ErrorCode::kBadUsage,
                 std::string(key) + " has processor " + std::to_string(cpu) +
                     ", which this process may not run on; see Cpus_allowed_list in "
                     "/proc/self/status"};
  }
  return {};
}

void StayOnCpu(uint32_t cpu) {
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(cpu, &one);
  pthread_setaffinity_np(pthread_self(), sizeof(one), &one);
}

}  // namespace shardmill
