#pragma once

#include <map>
#include <string>
#include <vector>

#include "bench/benchmark.h"
#include "common/result.h"

namespace shardmill::bench {

// More instructions than so many times the baseline's are a regression.
inline constexpr double kInstructionsMax = 1.03;

using InstructionCounts = std::map<std::string, double>;  // By path, of one run of it.

// Runs the hot paths of `peer` (shardmill-bench-peer) under callgrind. kUnavailable where valgrind
// is not installed.
Result<InstructionCounts> CountInstructions(const std::string& peer, const std::string& scratch);

// The number that a dump of callgrind gives for its whole; an error where it is no such dump.
Result<double> ReadDump(const std::string& text);

// The baseline file: an object with a number for each path.
Result<InstructionCounts> ParseCounts(const std::string& text);
std::string FormatCounts(const InstructionCounts& counts);

// A line a path that was counted, or stands in the baseline and is no more.
std::vector<Line> CompareCounts(const InstructionCounts& counts, const InstructionCounts& baseline);

}  // namespace shardmill::bench
