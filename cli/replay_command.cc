#include "cli/replay_command.h"

#include <filesystem>
#include <optional>
#include <ostream>
#include <string>
#include <system_error>
#include <vector>

#include "cli/replay.h"
#include "cli/run_folder.h"
#include "cli/trace_reader.h"
#include "cli/train_result.h"
#include "common/config/load.h"
#include "common/json/json.h"

namespace shardmill {
namespace {

// What the run's result says of its weights; none where it has not ended well.
Result<std::optional<uint64_t>> RecordedChecksum(const std::string& folder) {
  const std::string path = folder + "/" + kResultFile;
  std::error_code why;
  if (!std::filesystem::exists(path, why)) return std::optional<uint64_t>();
  const std::string text = SM_TRY(config::ReadFile(path));
  const Result<JsonValue> json = ParseJson(text);
  if (!json.ok()) return Error{ErrorCode::kBadInput, path + ": " + json.error().message};
  const JsonValue* metrics = json.value().Find("metrics");
  const JsonValue* checksum = metrics == nullptr ? nullptr : metrics->Find("weights_crc32");
  if (checksum == nullptr || !checksum->is_whole) return std::optional<uint64_t>();
  return std::optional<uint64_t>(checksum->whole);
}

std::string Json(const ReplayOutcome& outcome, const std::optional<uint64_t>& recorded) {
  JsonWriter json;
  json.BeginObject().Key("shards").Whole(outcome.shards);
  json.Key("applied").Whole(outcome.applied).Key("served").Whole(outcome.served);
  json.Key("gradients").Whole(outcome.gradients);
  json.Key("weights_crc32").Whole(outcome.weights_crc32).Key("recorded_crc32");
  if (recorded) {
    json.Whole(*recorded).Key("equal").Flag(*recorded == outcome.weights_crc32);
  } else {
    json.Null().Key("equal").Null();
  }
  return json.EndObject().Take();
}

std::string Words(const ReplayOutcome& outcome, const std::optional<uint64_t>& recorded) {
  const auto count = [](uint64_t number) { return FormatCount(static_cast<double>(number)); };
  const std::string compared = !recorded ? "the run has left no result to compare it with"
                               : *recorded == outcome.weights_crc32
                                   ? "the same as the run's"
                                   : "the run's is " + std::to_string(*recorded);
  return "replayed " + count(outcome.applied) + " changes and " + count(outcome.served) +
         " reads on " + std::to_string(outcome.shards) + " shards, with " +
         count(outcome.gradients) + " gradients\nweights_crc32 " +
         std::to_string(outcome.weights_crc32) + ": " + compared + "\n";
}

}  // namespace

Result<> RunReplay(const ReplayFlags& flags, const Console& console) {
  // The job as it was in effect: neither flags nor the environment of today.
  const Job job = SM_TRY(LoadJob(flags.folder + "/" + kJobFile, {}));
  const std::vector<std::string> traces = SM_TRY(FindTraces(flags.folder));
  const std::optional<uint64_t> recorded = SM_TRY(RecordedChecksum(flags.folder));
  const ReplayOutcome outcome = SM_TRY(ReplayRun(job.options, traces));
  console.out << (flags.json ? Json(outcome, recorded) + "\n" : Words(outcome, recorded))
              << std::flush;
  if (!recorded || *recorded == outcome.weights_crc32) return {};
  return Error{ErrorCode::kFailed, "the replay comes to other weights than the run"};
}

}  // namespace shardmill
