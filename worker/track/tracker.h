#pragma once

#include <cstdint>
#include <fstream>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/result.h"
#include "worker/track/event_file.h"

namespace shardmill {

// How a worker stood at one moment.
struct TrackPoint {
  uint64_t step = 0;
  uint64_t epoch = 0;
  double seconds = 0;  // Of training, since this process began it.
  double samples = 0;  // Since then, too.
  std::vector<std::pair<std::string, double>> values = {};  // "loss", "accuracy".
};

// Writes how a worker gets on, for people who look at it later: one JSON object a line in
// FOLDER/NAME.jsonl, which grows over all processes of the rank, and the same numbers for
// TensorBoard in FOLDER/NAME, a file a process. Owned by a trainer, on its thread. After an error
// nothing more is taken; training need not end for that.
class Tracker final {
 public:
  static constexpr std::string_view kLeftOutEnding = ".left_out.txt";
  static constexpr std::string_view kComputedEnding = ".computed.json";

  // `unix_seconds`, here and below: now, since 1970.
  static Result<std::unique_ptr<Tracker>> Make(const std::string& folder, const std::string& name,
                                               double unix_seconds);

  Result<> Write(double unix_seconds, const TrackPoint& point);
  // The rows of the data that were left out, as FOLDER/NAME.left_out.txt.
  Result<> WriteLeftOut(const std::vector<std::string>& rows);
  // What the device did, an object, as FOLDER/NAME.computed.json.
  Result<> WriteComputed(const std::string& json);

 private:
  Tracker(const std::string& path, std::unique_ptr<EventFile> events);

  const std::string path_;  // Without an ending.
  std::string lines_path_;
  std::ofstream lines_;
  std::unique_ptr<EventFile> events_;
};

}  // namespace shardmill
