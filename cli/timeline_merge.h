#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "common/result.h"
#include "common/timeline/timeline.h"

// Lays the parts of a timeline over each other. Plain functions, no state.
namespace shardmill {

// What came of it.
struct MergedTimeline {
  uint64_t events = 0;
  uint64_t lost = 0;                      // That no part had room for.
  std::vector<std::string> absent = {};   // Processes that left no part.
  std::vector<std::string> cut_off = {};  // Processes whose part ends in the middle.
  // Of each worker, the share of its steps in which it waited for others.
  std::vector<std::pair<std::string, double>> waits = {};
};

// Whether the file can be written; makes it.
Result<> CheckTimelineFile(const std::string& path);

// Reads the parts that the processes left in the folder and writes one file of Chrome's trace
// events, whose time begins with the first process. What should be in pairs is: of an arrow, and of
// the end of a state, whose other end is in no part, nothing is written.
Result<MergedTimeline> MergeTimeline(const std::string& folder,
                                     const std::vector<TimelineProcess>& processes,
                                     const std::string& out);

// In one line, for people.
std::string Describe(const MergedTimeline& merged);

}  // namespace shardmill
