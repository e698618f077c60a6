#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "common/result.h"

namespace shardmill {

struct CurvePoint {
  double seconds = 0;  // Since the run's first point.
  double step = 0;
  double value = 0;
};

// What a run's folder says of how it got on. A value.
struct RunCurves {
  std::string name;               // The folder's.
  std::string policy;             // "stale (3)"; empty where the run has not ended well.
  double samples_per_second = 0;  // This and the next: likewise.
  uint64_t staleness_max = 0;
  std::map<std::string, std::vector<CurvePoint>> curves;  // By what they show.
};

// Reads the folder of a run. Of workers that show the same, the first counts; what a worker did
// again, having gone back, counts as it was done last. An error names the file and the line.
Result<RunCurves> ReadCurves(const std::string& folder);

}  // namespace shardmill
