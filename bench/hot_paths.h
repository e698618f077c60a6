#pragma once

#include <functional>
#include <string>
#include <vector>

namespace shardmill::bench {

// A piece of the data path whose instructions are counted: the same work each time, without clock,
// network or chance.
struct HotPath {
  std::string name;
  std::function<void()> run;
};

std::vector<HotPath> HotPaths();

// Runs every path in turn, so that callgrind counts what is inside alone: see CountInstructions.
void RunHotPaths();

// The function that callgrind is told to look at, as a pattern, and how often it runs a path.
inline constexpr const char* kCountedFunction =
    "shardmill::bench::(anonymous namespace)::RunCounted*";
// The same function by another pattern: callgrind keeps one order a pattern.
inline constexpr const char* kCountedFunctionToo = "*RunCounted*";
inline constexpr int kCountedRuns = 10;

}  // namespace shardmill::bench
