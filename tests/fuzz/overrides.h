#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "common/config/load.h"
#include "tests/fuzz/input.h"

namespace shardmill::fuzz {

// Some lines of a piece.
inline std::vector<std::string> LinesOf(Input input) {
  constexpr size_t kLinesMax = 8;
  std::vector<std::string> lines;
  std::string_view rest = TextOf(input);
  while (!rest.empty() && lines.size() < kLinesMax) {
    const size_t end = std::min(rest.find('\n'), rest.size());
    lines.emplace_back(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return lines;
}

// What stands above a file: a piece of lines, each as --set takes it, and a piece of lines that are
// variables of the environment.
inline config::Overrides OverridesOf(Cutter& cutter) {
  config::Overrides overrides;
  overrides.sets = LinesOf(cutter.Piece());
  for (const std::string& line : LinesOf(cutter.Piece())) {
    const size_t end = std::min(line.find('='), line.size());
    overrides.environment.push_back({std::string(config::kEnvironmentPrefix) + line.substr(0, end),
                                     line.substr(std::min(end + 1, line.size()))});
  }
  return overrides;
}

}  // namespace shardmill::fuzz
