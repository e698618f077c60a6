// Whole jobs, in real processes over ZeroMQ.
#include <gtest/gtest.h>

#include <csignal>
#include <filesystem>
#include <iterator>
#include <string>
#include <vector>

#include "cli/run_folder.h"
#include "common/json/json.h"
#include "tests/system/launch.h"

namespace shardmill {
namespace {

constexpr std::chrono::milliseconds kPatience{60000};
constexpr uint32_t kEndless = 100000;  // Epochs.

JsonValue ResultOfTrain() {
  const Result<JsonValue> json = ParseJson(LastLineOf("train"));
  EXPECT_TRUE(json.ok()) << OutputOf("train");
  return json.ok() ? json.value() : JsonValue{};
}

double NumberAt(const JsonValue& json, const char* key) {
  const JsonValue* value = json.Find(key);
  EXPECT_TRUE(value) << key;
  return value ? value->number : -1;
}

JsonValue Train(const std::string& job, std::vector<std::string> arguments) {
  arguments.emplace_back("--json");
  const auto train = LaunchTrain(job, std::move(arguments));
  EXPECT_EQ(train->Wait(kPatience), ExitStatus{}) << OutputOf("train");
  return ResultOfTrain();
}

void ExpectWhole(const JsonValue& result, const char* policy) {
  EXPECT_EQ(result.Find("policy")->text, policy);
  EXPECT_EQ(NumberAt(result, "shards"), 2);
  EXPECT_EQ(NumberAt(result, "workers"), 2);
  EXPECT_EQ(NumberAt(result, "steps"), 4 * 50);
  EXPECT_EQ(NumberAt(result, "lost"), 0);
  EXPECT_EQ(NumberAt(result, "duplicated"), 0);
  EXPECT_GE(NumberAt(result, "pushes"), 2 * 4 * 50);
  EXPECT_GT(NumberAt(result, "seconds"), 0);
  EXPECT_GT(NumberAt(result, "samples_per_second"), 0);
  EXPECT_GT(NumberAt(*result.Find("metrics"), "accuracy"), 0.9);
}

TEST(TrainTest, TrainsUnderSyncToTheSameWeightsTwice) {
  const std::string job = WriteJob(4);
  const JsonValue first = Train(job, {});
  ExpectWhole(first, "sync");
  EXPECT_EQ(NumberAt(first, "staleness_max"), 0);
  EXPECT_TRUE(first.Find("reproducible")->flag);
  const JsonValue second = Train(job, {});
  EXPECT_EQ(NumberAt(*first.Find("metrics"), "weights_crc32"),
            NumberAt(*second.Find("metrics"), "weights_crc32"));
}

TEST(TrainTest, TrainsUnderStaleWithinItsBound) {
  const JsonValue result =
      Train(WriteJob(4), {"--set", "policy.mode=stale", "--set", "policy.staleness=3"});
  ExpectWhole(result, "stale");
  EXPECT_LE(NumberAt(result, "staleness_max"), 3);
  EXPECT_FALSE(result.Find("reproducible")->flag);
}

TEST(TrainTest, TrainsUnderAsync) {
  const JsonValue result = Train(WriteJob(4), {"--set", "policy.mode=async"});
  ExpectWhole(result, "async");
  EXPECT_FALSE(result.Find("reproducible")->flag);
}

TEST(TrainTest, TracksHowEachWorkerGetsOnForPlots) {
  const std::string job = WriteJob(4);
  Train(job, {"--set", "train.report_every=10", "--set", "job.name=first"});
  Train(job, {"--set", "train.report_every=10", "--set", "policy.mode=async"});
  const std::vector<std::string> runs = FindRuns(TestFolder() + "/runs");
  ASSERT_EQ(runs.size(), 2U);
  const std::string svg = TestFolder() + "/curves.svg";
  const auto plot =
      Launch("plot", "cli/shardmill", {"plot", runs[0], runs[1], "--json", "--out", svg});
  ASSERT_EQ(plot->Wait(kPatience), ExitStatus{}) << OutputOf("plot");
  EXPECT_TRUE(std::filesystem::exists(svg));
  const std::string table = OutputOf("plot").substr(0, OutputOf("plot").find('\n'));
  const Result<JsonValue> json = ParseJson(table);
  ASSERT_TRUE(json.ok()) << OutputOf("plot");
  ASSERT_EQ(json.value().items.size(), 2U);
  for (const JsonValue& run : json.value().items) {
    const JsonValue* metrics = run.Find("metrics");
    ASSERT_NE(metrics, nullptr);
    for (const char* name :
         {"accuracy", "train_loss", "samples_per_second", "learning_rate", "gradient_length"}) {
      EXPECT_NE(metrics->Find(name), nullptr) << name;
    }
    EXPECT_GT(NumberAt(*metrics->Find("accuracy"), "best"), 0.9);
    EXPECT_EQ(std::distance(
                  std::filesystem::directory_iterator(runs[0] + "/" + kTrackFolder + "/worker-1"),
                  std::filesystem::directory_iterator()),
              1);
  }
}

TEST(TrainTest, StopsEverythingOnCtrlC) {
  const auto train = LaunchTrain(WriteJob(kEndless));
  AwaitState(JobStatus::State::kTraining);
  const std::vector<int> processes = ChildrenOf(train->pid());
  EXPECT_EQ(processes.size(), 4U);
  kill(train->pid(), SIGINT);
  EXPECT_EQ(train->Wait(kPatience), (ExitStatus{.code = 130})) << OutputOf("train");
  for (const int process : processes) EXPECT_FALSE(Runs(process));
}

TEST(TrainTest, LeavesNoProcessBehindWhenItIsKilled) {
  const auto train = LaunchTrain(WriteJob(kEndless));
  AwaitState(JobStatus::State::kTraining);
  const std::vector<int> processes = ChildrenOf(train->pid());
  EXPECT_EQ(processes.size(), 4U);
  train->Kill();
  EXPECT_EQ(train->Wait(kPatience), (ExitStatus{.signal = SIGKILL}));
  const auto end = std::chrono::steady_clock::now() + kPatience;
  for (const int process : processes) {
    while (Runs(process) && std::chrono::steady_clock::now() < end) usleep(10'000);
    EXPECT_FALSE(Runs(process));
  }
}

TEST(TrainTest, NamesTheProcessThatDiesAndStopsTheOthers) {
  const auto train = LaunchTrain(WriteJob(kEndless));
  AwaitState(JobStatus::State::kTraining);
  const std::vector<int> processes = ChildrenOf(train->pid());
  ASSERT_EQ(processes.size(), 4U);
  kill(processes.back(), SIGKILL);
  EXPECT_EQ(train->Wait(kPatience), (ExitStatus{.code = 1}));
  EXPECT_NE(OutputOf("train").find("worker-1 ended with signal 9 (Killed)"), std::string::npos)
      << OutputOf("train");
  for (const int process : processes) EXPECT_FALSE(Runs(process));
}

TEST(TrainTest, CanBeAskedHowItGoes) {
  const auto train = LaunchTrain(WriteJob(kEndless));
  const JobStatus status = AwaitState(JobStatus::State::kTraining);
  EXPECT_EQ(status.workers.size(), 2U);
  EXPECT_EQ(status.shards.size(), 2U);
  const auto ask = Launch("status", "cli/shardmill", {"status", "--runs", TestFolder() + "/runs"});
  EXPECT_EQ(ask->Wait(kPatience), ExitStatus{}) << OutputOf("status");
  EXPECT_EQ(OutputOf("status").substr(0, 9), "training\n");
  train->Terminate();
  EXPECT_EQ(train->Wait(kPatience), (ExitStatus{.code = 130})) << OutputOf("train");
}

TEST(TrainTest, FindsTheNewestRunsResultInItsFolder) {
  const JsonValue result = Train(WriteJob(1), {"--quiet"});
  const std::vector<std::string> runs = FindRuns(TestFolder() + "/runs");
  ASSERT_EQ(runs.size(), 1U);
  EXPECT_EQ(LastLines(runs[0] + "/result.json", 1), "  " + LastLineOf("train") + "\n");
  EXPECT_EQ(NumberAt(result, "steps"), 50);
  const std::string log = LastLines(runs[0] + "/worker-0.log", 10);
  EXPECT_NE(log.find(" result metric=accuracy value="), std::string::npos) << log;
}

}  // namespace
}  // namespace shardmill
