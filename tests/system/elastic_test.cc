// Workers of a real job that come, leave and die, while the others go on; each sample is used once.
#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "cli/run_folder.h"
#include "common/json/json.h"
#include "tests/system/launch.h"

namespace shardmill {
namespace {

constexpr std::chrono::milliseconds kPatience{400000};

std::vector<std::string> Sets(std::vector<std::string> keys) {
  std::vector<std::string> arguments;
  for (std::string& key : keys) {
    arguments.emplace_back("--set");
    arguments.push_back(std::move(key));
  }
  return arguments;
}

JsonValue ResultOf(Child& train, int code = 0) {
  const auto status = train.Wait(kPatience);
  EXPECT_EQ(status, (ExitStatus{.code = code})) << OutputOf(train.name());
  Result<JsonValue> json = ParseJson(LastLineOf(train.name()));
  EXPECT_TRUE(json.ok()) << OutputOf(train.name());
  return json.ok() ? std::move(json).value() : JsonValue{};
}

double At(const JsonValue& json, std::string_view key) {
  const JsonValue* value = json.Find(key);
  return value == nullptr ? -1 : value->number;
}

// `train` with the data leased.
JsonValue TrainLeased(std::vector<std::string> keys) {
  keys.emplace_back("data.scheme=leased");
  std::vector<std::string> arguments = Sets(std::move(keys));
  arguments.insert(arguments.end(), {"--json", "--quiet"});
  const auto train = LaunchTrain(WriteJob(5), std::move(arguments));
  return ResultOf(*train);
}

void ExpectAllUsedOnce(const JsonValue& result) {
  EXPECT_EQ(At(result, "samples_lost"), 0);
  EXPECT_EQ(At(result, "samples_repeated"), 0);
  EXPECT_EQ(At(result, "lost"), 0);
  EXPECT_EQ(At(result, "duplicated"), 0);
  const JsonValue* reproducible = result.Find("reproducible");
  ASSERT_NE(reproducible, nullptr);
  EXPECT_FALSE(reproducible->flag);
}

TEST(ElasticTest, LeasedDataIsUsedOnceUnderEachPolicy) {
  ExpectAllUsedOnce(TrainLeased({}));
  ExpectAllUsedOnce(TrainLeased({"policy.mode=stale", "policy.staleness=2", "data.chunk=7"}));
  ExpectAllUsedOnce(TrainLeased({"policy.mode=async", "cluster.workers=3"}));
}

std::vector<std::string> ElasticKeys() {
  return {"cluster.elastic=true", "cluster.workers_max=4", "data.scheme=leased", "cluster.lease=1s",
          "policy.mode=async"};
}

// One more worker by hand; the coordinator gives it a rank.
std::unique_ptr<Child> LaunchOneMore(const std::string& name, const std::string& job) {
  AwaitState(JobStatus::State::kTraining);
  const Result<RunRecord> run = ReadRunRecord(FindRuns(TestFolder() + "/runs").front());
  EXPECT_TRUE(run.ok());
  std::vector<std::string> keys = ElasticKeys();
  keys.push_back("cluster.coordinator=" + run.value().coordinator);
  std::vector<std::string> arguments = Sets(std::move(keys));
  arguments.insert(arguments.begin(), {job, "--rank", "any"});
  return Launch(name, "worker/shardmill-worker", std::move(arguments));
}

JobStatus::Worker::State StateOf(uint32_t rank) {
  for (const JobStatus::Worker& worker : AwaitState(JobStatus::State::kTraining).workers) {
    if (worker.rank == rank) return worker.state;
  }
  return JobStatus::Worker::State::kAbsent;
}

bool Becomes(uint32_t rank, JobStatus::Worker::State state) {
  return Await([&] { return StateOf(rank) == state; });
}

TEST(ElasticTest, WorkersComeAndLeaveAndDieAndEachSampleIsUsedOnce) {
  using State = JobStatus::Worker::State;
  const std::string job = WriteJob(2000);
  std::vector<std::string> arguments = Sets(ElasticKeys());
  arguments.insert(arguments.end(), {"--json", "--quiet"});
  const auto train = LaunchTrain(job, std::move(arguments));
  const auto leaver = LaunchOneMore("leaver", job);
  ASSERT_TRUE(Becomes(2, State::kTraining)) << OutputOf("leaver");
  ASSERT_TRUE(Await([] { return OutputOf("leaver").find(" training ") != std::string::npos; }));
  leaver->Terminate();
  EXPECT_EQ(leaver->Wait(kPatience), ExitStatus{}) << OutputOf("leaver");
  ASSERT_TRUE(Becomes(2, State::kAbsent));
  for (const int child : ChildrenOf(train->pid())) {
    if (CommandOf(child).find("--rank 1 ") != std::string::npos) kill(child, SIGKILL);
  }
  ASSERT_TRUE(Becomes(1, State::kAbsent));
  const auto late = LaunchOneMore("late", job);
  ASSERT_TRUE(Becomes(1, State::kTraining)) << OutputOf("late");
  ExpectAllUsedOnce(ResultOf(*train));
  EXPECT_EQ(late->Wait(kPatience), ExitStatus{}) << OutputOf("late");
}

TEST(ElasticTest, WorkersMaxIsTheMostAtATime) {
  const std::string job = WriteJob(100000);
  std::vector<std::string> keys = ElasticKeys();
  keys[1] = "cluster.workers_max=2";
  const auto train = LaunchTrain(job, Sets(keys));
  const auto third = LaunchOneMore("third", job);
  // It says that it waits, and for what, when it is stopped.
  ASSERT_TRUE(Await([] { return OutputOf("third").find("waiting_for") != std::string::npos; }));
  EXPECT_FALSE(third->Wait(std::chrono::milliseconds(2000)).has_value());
  third->Terminate();
  ASSERT_TRUE(third->Wait(kPatience).has_value());
  EXPECT_NE(OutputOf("third").find("all 2 ranks are held"), std::string::npos) << OutputOf("third");
  train->Terminate();
  EXPECT_TRUE(train->Wait(kPatience).has_value());
}

TEST(ElasticTest, ChunkIsWhatIsLeasedAtOnce) {
  // The last batch of a chunk is what is left of it.
  const double whole = At(TrainLeased({"data.chunk=16", "cluster.workers=1"}), "steps");
  const double halves = At(TrainLeased({"data.chunk=1", "cluster.workers=1"}), "steps");
  EXPECT_GT(halves, whole);
}

}  // namespace
}  // namespace shardmill
