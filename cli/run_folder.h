#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "common/json/json.h"
#include "common/result.h"

namespace shardmill {

// What a run's folder says of the run, in job.json: where its coordinator answers.
struct RunRecord {
  std::string name = {};         // Of the job.
  std::string file = {};         // The job file, as it was named.
  std::string coordinator = {};  // "tcp://127.0.0.1:4711".
  std::string http = {};         // "127.0.0.1:4712".
};

// What else a run's folder holds.
inline constexpr const char* kJobFile = "job.toml";             // Every key in effect.
inline constexpr const char* kResultFile = "result.json";       // Of a run that has ended well.
inline constexpr const char* kModelFile = "model.safetensors";  // The best or the last.
inline constexpr const char* kTrackFolder = "track";            // How each worker got on.
inline constexpr const char* kLogFolder = "logs";               // Of shards, where they keep some.
inline constexpr const char* kTraceFolder = "trace";            // Of a recorded run.
inline constexpr const char* kSnapshotFolder = "snapshots";  // Of a run that begins with weights.
inline constexpr const char* kTimelineFolder = "timeline";   // Of a traced run: a file a process.

// "20261121T034100Z": now, in UTC.
std::string UtcStamp();

// Makes `runs`/`name`-`stamp`, or with a number behind it where there is such a folder already.
// Returns its path.
Result<std::string> MakeRunFolder(const std::string& runs, const std::string& name,
                                  const std::string& stamp);

Result<> WriteRunRecord(const std::string& folder, const RunRecord& record);
Result<RunRecord> ReadRunRecord(const std::string& folder);

// The folders under `runs` that have a record, the newest first.
std::vector<std::string> FindRuns(const std::string& runs);

// The model that the newest run of that job has kept, of those that have one such as is wanted;
// empty: none has.
std::string FindModelFile(
    const std::string& runs, const std::string& job,
    const std::function<bool(const std::string& file)>& wanted = [](const std::string&) {
      return true;
    });

Result<> WriteTextFile(const std::string& path, std::string_view text);

// The rows of the data that a job's workers have left out, as one of them names them in the folder
// of its tracks; they all read the same.
std::vector<std::string> ReadLeftOut(const std::string& tracks);

// What the devices of the ranks below `workers` did, as far as those have said it there.
std::vector<JsonValue> ReadComputed(const std::string& tracks, uint64_t workers);

// The last lines of a file, each indented by two blanks; empty where there are none. Where a line
// is `after`, only what follows it counts.
std::string LastLines(const std::string& path, size_t lines, std::string_view after = {});

}  // namespace shardmill
