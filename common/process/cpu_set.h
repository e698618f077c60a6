#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"

namespace shardmill {

// The processors of a list as taskset writes it, "0-3,6"; none for an empty one. Nothing where it
// is no such list.
std::optional<std::vector<uint32_t>> ParseCpus(std::string_view text);

// Whether this process may run on all of them. `key` says in words who asked.
Result<> CheckCpus(std::string_view key, std::span<const uint32_t> cpus);

// Keeps the calling thread on one processor, which was checked.
void StayOnCpu(uint32_t cpu);

}  // namespace shardmill
