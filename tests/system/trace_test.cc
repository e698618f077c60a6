// Recorded runs: what an audit proves of them, and what it finds where a trace was edited.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cli/audit_command.h"
#include "cli/run_folder.h"
#include "common/json/json.h"
#include "tests/system/launch.h"

namespace shardmill {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::milliseconds kPatience{60000};

// Trains a job with four workers, recorded. Returns the run's folder.
std::string RecordJob(const std::string& job, std::vector<std::string> settings) {
  std::vector<std::string> arguments{"--quiet", "--record", "--set", "cluster.workers=4"};
  for (std::string& setting : settings) {
    arguments.emplace_back("--set");
    arguments.push_back(std::move(setting));
  }
  const auto train = LaunchTrain(job, std::move(arguments));
  EXPECT_EQ(train->Wait(kPatience), ExitStatus{}) << OutputOf("train");
  const std::vector<std::string> runs = FindRuns(TestFolder() + "/runs");
  return runs.empty() ? "" : runs.front();
}

// The same of the small job.
std::string Record(std::vector<std::string> settings) {
  return RecordJob(WriteJob(2), std::move(settings));
}

// A job on rows that name some of 500 ids, whose weights are a sparse table.
std::string WriteSparseJob() {
  const std::string folder = TestFolder();
  std::ofstream rows(folder + "/rows.svm");
  for (uint32_t row = 0; row < 600; ++row) {
    const uint32_t id = 1 + (row * 37) % 450;
    rows << row % 2 << " " << id << ":1 " << id + 1 + row % 2 << ":0.5\n";
  }
  std::ofstream(folder + "/rows.toml") << R"([job]
name = "rows"
runs = ")" << folder << R"(/runs"
[cluster]
shards_per_server = 2
[optimizer]
name = "adagrad"
[data]
format = "libsvm"
train = ")" << folder << R"(/rows.svm"
split = [0.8, 0.2]
batch_size = 8
[model]
metrics = ["loss"]
layers = [{ type = "affine", units = 8 }, { type = "relu" }, { type = "affine", units = 2 }]
[train]
epochs = 3
)";
  return folder + "/rows.toml";
}

JsonValue Audited(const std::string& path, int code = 0) {
  const auto audit = Launch("audit", "cli/shardmill", {"audit", path, "--json"});
  EXPECT_EQ(audit->Wait(kPatience), (ExitStatus{.code = code})) << OutputOf("audit");
  const Result<JsonValue> json =
      ParseJson(OutputOf("audit").substr(0, OutputOf("audit").find('\n')));
  EXPECT_TRUE(json.ok()) << OutputOf("audit");
  return json.ok() ? json.value() : JsonValue{};
}

uint64_t At(const JsonValue& json, const char* key) {
  const JsonValue* value = json.Find(key);
  EXPECT_NE(value, nullptr) << key;
  return value == nullptr ? ~uint64_t{0} : value->whole;
}

void ExpectProven(const JsonValue& report, uint64_t staleness_max) {
  EXPECT_EQ(At(report, "shards"), 2U);
  EXPECT_GT(At(report, "applied"), 0U);
  // Each worker reads its tables on the shards that have them, in each of its 50 steps.
  EXPECT_GE(At(report, "served"), 4U * 50 * 2);
  EXPECT_LE(At(report, "staleness_max"), staleness_max);
  EXPECT_TRUE(report.Find("violations")->items.empty());
  EXPECT_TRUE(report.Find("notes")->items.empty());
}

TEST(TraceTest, FolderOfTheJobFileIsWhereTracesGo) {
  const std::string folder = TestFolder() + "/traces";
  const auto train = LaunchTrain(WriteJob(1), {"--quiet", "--set", "trace.folder=" + folder});
  EXPECT_EQ(train->Wait(kPatience), ExitStatus{}) << OutputOf("train");
  EXPECT_TRUE(fs::exists(folder + "/shard-0.trace"));
  EXPECT_TRUE(fs::exists(folder + "/shard-1.trace"));
}

TEST(TraceTest, FolderThatCannotBeMadeIsNamed) {
  const auto train =
      LaunchTrain(WriteJob(1), {"--quiet", "--set", "trace.folder=/dev/null/traces"});
  EXPECT_EQ(train->Wait(kPatience), (ExitStatus{.code = 1})) << OutputOf("train");
  EXPECT_NE(OutputOf("train").find("see trace.folder"), std::string::npos) << OutputOf("train");
}

TEST(TraceTest, ProvesARunUnderSync) { ExpectProven(Audited(Record({})), 0); }

TEST(TraceTest, ProvesARunUnderStale) {
  ExpectProven(Audited(Record({"policy.mode=stale", "policy.staleness=2"})), 2);
}

TEST(TraceTest, ProvesARunUnderAsync) { ExpectProven(Audited(Record({"policy.mode=async"})), 50); }

TEST(TraceTest, ProvesARunWithBackupWorkers) {
  ExpectProven(Audited(Record({"policy.backups=1"})), 0);
}

// Rewrites a trace: what `edit` returns takes the place of each event.
void Edit(const std::string& path,
          const std::function<std::vector<TraceEvent>(const TraceEvent&)>& edit) {
  std::vector<TraceEvent> events;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    const Result<TraceEvent> event = ParseTrace(line);
    ASSERT_TRUE(event.ok()) << event.error().message;
    if (std::holds_alternative<TraceEnd>(event.value())) break;
    for (TraceEvent& one : edit(event.value())) events.push_back(std::move(one));
  }
  std::ofstream out(path);
  events.emplace_back(TraceEnd{events.size()});
  for (const TraceEvent& event : events) {
    out << std::visit([](const auto& one) { return FormatTrace(one); }, event) << "\n";
  }
}

// What the audit of a run says, one of whose shards was edited.
std::string WordsAfter(const std::string& run, uint32_t shard,
                       const std::function<std::vector<TraceEvent>(const TraceEvent&)>& edit) {
  const std::string copy = TestFolder() + "/edited";
  fs::remove_all(copy);
  fs::copy(run + "/" + kTraceFolder, copy);
  Edit(copy + "/shard-" + std::to_string(shard) + ".trace", edit);
  std::string words;
  const JsonValue report = Audited(copy, 1);
  for (const JsonValue& violation : report.Find("violations")->items) {
    words += violation.Find("words")->text + "\n";
  }
  return words;
}

testing::AssertionResult Names(const std::string& words, const std::string& what) {
  if (words.find(what) != std::string::npos) return testing::AssertionSuccess();
  return testing::AssertionFailure() << "no \"" << what << "\" in:\n" << words;
}

TEST(TraceTest, FindsEachViolationThatIsPlanted) {
  const std::string run = Record({"policy.mode=stale", "policy.staleness=2"});
  using Events = std::vector<TraceEvent>;
  // A pull of a later step, moved to where an earlier one of the same worker was served.
  EXPECT_TRUE(Names(WordsAfter(run, 0,
                               [done = false](const TraceEvent& event) mutable -> Events {
                                 const auto* served = std::get_if<TraceServed>(&event);
                                 if (served == nullptr || done || served->pull.step < 10)
                                   return {event};
                                 done = true;
                                 TraceServed early = *served;
                                 early.pull.step += 5;
                                 return {event, early};
                               }),
                    "is served too early"));
  EXPECT_TRUE(Names(WordsAfter(run, 1,
                               [](const TraceEvent& event) -> Events {
                                 const auto* served = std::get_if<TraceServed>(&event);
                                 if (served == nullptr || served->pull.step != 20) return {event};
                                 TraceServed wrong = *served;
                                 wrong.staleness += 1;
                                 return {wrong};
                               }),
                    "staleness is said to be"));
  EXPECT_TRUE(Names(WordsAfter(run, 0,
                               [](const TraceEvent& event) -> Events {
                                 const auto* entry = std::get_if<LogEntry>(&event);
                                 if (entry == nullptr || entry->version != 30) return {event};
                                 return {event, event};
                               }),
                    "is made twice"));
  const auto without = [](Step step) {
    return [step](const TraceEvent& event) -> Events {
      const auto* entry = std::get_if<LogEntry>(&event);
      const bool gone = entry != nullptr && entry->made.at(0).step == step &&
                        entry->made.at(0).rank == WorkerId{2};
      return gone ? Events{} : Events{event};
    };
  };
  EXPECT_TRUE(Names(WordsAfter(run, 1, without(7)), "one is left out"));
  EXPECT_TRUE(Names(WordsAfter(run, 1, without(50)), "it lacks step 50 of worker 2"));
}

TEST(TraceTest, ProvesWhatIsThereOfATraceThatWasCutOff) {
  const std::string run = Record({});
  const std::string path = run + "/" + kTraceFolder + "/shard-1.trace";
  fs::resize_file(path, fs::file_size(path) - 40);
  const JsonValue report = Audited(run);
  EXPECT_TRUE(report.Find("violations")->items.empty());
  EXPECT_EQ(report.Find("notes")->items.size(), 1U);
}

// Replays a run. What it says of itself, and that it ends with that code.
std::string Replayed(const std::string& run, int code) {
  const auto replay = Launch("replay", "cli/shardmill", {"replay", run, "--json"});
  EXPECT_EQ(replay->Wait(kPatience), (ExitStatus{.code = code})) << OutputOf("replay");
  return OutputOf("replay");
}

void ExpectTheSameWeights(const std::string& run) {
  const Result<JsonValue> json = ParseJson(Replayed(run, 0));
  ASSERT_TRUE(json.ok()) << OutputOf("replay");
  EXPECT_TRUE(json.value().Find("equal")->flag) << OutputOf("replay");
  EXPECT_EQ(At(json.value(), "weights_crc32"), At(json.value(), "recorded_crc32"));
  EXPECT_EQ(At(json.value(), "shards"), 2U);
  EXPECT_GT(At(json.value(), "gradients"), 0U);
}

TEST(ReplayTest, ComesToTheSameWeightsUnderAsync) {
  const std::string run = Record({"policy.mode=async", "optimizer.name=adam"});
  ExpectTheSameWeights(run);
}

TEST(ReplayTest, ComesToTheSameWeightsUnderStale) {
  ExpectTheSameWeights(
      Record({"policy.mode=stale", "policy.staleness=2", "optimizer.clip_norm=0.5"}));
}

TEST(ReplayTest, ComesToTheSameWeightsUnderSync) {
  ExpectTheSameWeights(Record({"optimizer.name=momentum", "data.scheme=overlap"}));
}

TEST(ReplayTest, ComesToTheSameWeightsOfTablesWithRulesOfTheirOwn) {
  ExpectTheSameWeights(
      Record({"optimizer.name=adam", "optimizer.clip_norm=0.5",
              "model.layers=[{type='flatten'},{type='batch_norm1d'},{type='affine',units=10,"
              "learning_rate=0.5,optimizer='momentum'}]"}));
}

TEST(ReplayTest, ComesToTheSameWeightsOfSparseTables) {
  const std::string job = WriteSparseJob();
  ExpectTheSameWeights(RecordJob(job, {}));
  ExpectTheSameWeights(RecordJob(job, {"policy.mode=async", "train.accumulate=2"}));
}

TEST(ReplayTest, EndsWhereTheRunWasToldToEnd) {
  const std::vector<std::string> sets{"train.stop=[{metric='loss',at_most=100}]",
                                      "train.validate_steps=10"};
  const std::string job = WriteSparseJob();
  ExpectTheSameWeights(RecordJob(job, sets));
  std::vector<std::string> stale = sets;
  stale.insert(stale.end(), {"policy.mode=stale", "policy.staleness=2"});
  ExpectTheSameWeights(RecordJob(job, stale));
}

TEST(ReplayTest, ComesToTheSameWeightsWithBackupWorkers) {
  ExpectTheSameWeights(Record({"policy.backups=1", "policy.aggregate=mean"}));
}

TEST(ReplayTest, ComesToOtherWeightsWhereTheOrderIsAnother) {
  const std::string run = Record({"policy.mode=async"});
  const std::string path = run + "/" + kTraceFolder + "/shard-0.trace";
  // The next two entries of two workers after the twentieth change places.
  std::vector<LogEntry> two;
  Edit(path, [&two](const TraceEvent& event) -> std::vector<TraceEvent> {
    const auto* entry = std::get_if<LogEntry>(&event);
    const bool wanted = entry != nullptr && entry->version > 20 && two.size() < 2;
    if (wanted && (two.empty() || two[0].made.at(0).rank != entry->made.at(0).rank)) {
      two.push_back(*entry);
    }
    return {event};
  });
  ASSERT_EQ(two.size(), 2U);
  std::swap(two[0].version, two[1].version);
  Edit(path, [&two](const TraceEvent& event) -> std::vector<TraceEvent> {
    const auto* entry = std::get_if<LogEntry>(&event);
    if (entry == nullptr) return {event};
    for (const LogEntry& other : two) {
      if (other.version == entry->version) return {TraceEvent{other}};
    }
    return {event};
  });
  EXPECT_NE(Replayed(run, 1).find("shardmill: "), std::string::npos) << OutputOf("replay");
}

TEST(ReplayTest, SaysPlainlyWhatItCannotReplay) {
  const std::string run = Record({});
  const std::string path = run + "/" + kTraceFolder + "/shard-1.trace";
  fs::resize_file(path, fs::file_size(path) - 40);
  EXPECT_NE(Replayed(run, 1).find("the trace is not whole"), std::string::npos);
  fs::remove(path);
  EXPECT_NE(Replayed(run, 1).find("traces of 1 of 2 shards"), std::string::npos);
  fs::remove_all(run + "/" + kTraceFolder);
  EXPECT_NE(Replayed(run, 4).find("--record"), std::string::npos);
}

TEST(ReplayTest, RefusesARunThatExchangedParameters) {
  const std::string run = Record({"policy.exchange=parameters"});
  EXPECT_NE(Replayed(run, 2).find("exchanged parameters"), std::string::npos);
}

TEST(ReplayTest, RefusesARunThatDidNotBeginAnew) {
  const std::string first = Record({"snapshot.to=" + TestFolder() + "/kept"});
  const std::string weights = Record({"train.weights=" + first});
  const std::string resumed =
      Record({"snapshot.to=" + TestFolder() + "/kept", "snapshot.resume=latest", "train.epochs=2"});
  for (const std::string& run : {weights, resumed}) {
    EXPECT_NE(Replayed(run, 2).find("began from a snapshot"), std::string::npos);
    EXPECT_TRUE(Audited(run).Find("violations")->items.empty());
  }
}

}  // namespace
}  // namespace shardmill
