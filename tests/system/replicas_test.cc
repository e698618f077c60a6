// Servers that are lost while others have replicas of their shards.
#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <fstream>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "cli/run_folder.h"
#include "common/json/json.h"
#include "tests/system/launch.h"

namespace shardmill {
namespace {

constexpr std::chrono::milliseconds kPatience{400000};
constexpr uint32_t kEpochs = 600;

std::vector<std::string> WithReplica(std::vector<std::string> keys = {}) {
  std::vector<std::string> arguments = {"--json", "--quiet"};
  keys.insert(keys.begin(), {"cluster.servers=2", "cluster.shards_per_server=1",
                             "replication.replicas=1", "cluster.lease=1s"});
  for (std::string& key : keys) {
    arguments.emplace_back("--set");
    arguments.push_back(std::move(key));
  }
  return arguments;
}

// A member of the result, or one of its metrics.
double ResultOf(const std::string& key) {
  const Result<JsonValue> json = ParseJson(LastLineOf("train"));
  EXPECT_TRUE(json.ok()) << OutputOf("train");
  if (!json.ok()) return -1;
  const JsonValue* value = json.value().Find(key);
  const JsonValue* metrics = json.value().Find("metrics");
  if (value == nullptr && metrics != nullptr) value = metrics->Find(key);
  EXPECT_NE(value, nullptr) << key << " in " << OutputOf("train");
  return value == nullptr ? -1 : value->number;
}

int ServerOf(const Child& train, const std::string& index) {
  for (const int pid : ChildrenOf(train.pid())) {
    if (CommandOf(pid).find("--index " + index + " ") != std::string::npos) return pid;
  }
  ADD_FAILURE() << "server " << index << " does not run: " << OutputOf("train");
  return -1;
}

// And steps have been made: what is lost before there are tables is not what these tests are about.
bool AllInSync(const JobStatus& status) {
  return std::ranges::all_of(status.shards, [](const JobStatus::Shard& shard) {
    return shard.closed > 0 && shard.in_sync == shard.replicas && shard.degraded.empty();
  });
}

void AwaitInSync(const Child& train, uint64_t promotions) {
  JobStatus status;
  const bool in_sync = Await([&] {
    status = AwaitState(JobStatus::State::kTraining);
    return (status.promotions >= promotions && AllInSync(status)) || !Runs(train.pid());
  });
  EXPECT_TRUE(in_sync && Runs(train.pid())) << ToJson(status) << OutputOf("train");
}

double UndisturbedChecksum(const std::string& job) {
  const auto whole = LaunchTrain(job, {"--json", "--quiet"});
  EXPECT_EQ(whole->Wait(kPatience), ExitStatus{}) << OutputOf("train");
  return ResultOf("weights_crc32");
}

void ExpectAsIfNothingWere(double checksum) {
  EXPECT_EQ(ResultOf("weights_crc32"), checksum);
  EXPECT_EQ(ResultOf("lost"), 0);
  EXPECT_EQ(ResultOf("duplicated"), 0);
  EXPECT_EQ(ResultOf("rollbacks"), 0);
}

TEST(ReplicasTest, AServerAfterTheOtherIsKilledAndTheWeightsAreTheSame) {
  const std::string job = WriteJob(kEpochs);
  const double undisturbed = UndisturbedChecksum(job);
  const auto train = LaunchTrain(job, WithReplica());
  AwaitInSync(*train, 0);
  kill(ServerOf(*train, "1"), SIGKILL);
  AwaitInSync(*train, 1);
  EXPECT_NE(OutputOf("train").find("server-1 ended with"), std::string::npos) << OutputOf("train");
  // All is on this one now, and what the other has it has from here.
  kill(ServerOf(*train, "0"), SIGKILL);
  ASSERT_EQ(train->Wait(kPatience), ExitStatus{}) << OutputOf("train");
  EXPECT_GE(ResultOf("promotions"), 2);
  ExpectAsIfNothingWere(undisturbed);
}

TEST(ReplicasTest, AServerThatStandsStillLosesItsPlaceAndBeginsAnewInItsProcess) {
  const std::string job = WriteJob(kEpochs);
  const double undisturbed = UndisturbedChecksum(job);
  const auto train = LaunchTrain(job, WithReplica());
  AwaitInSync(*train, 0);
  const int stopped = ServerOf(*train, "0");
  kill(stopped, SIGSTOP);
  JobStatus status;
  EXPECT_TRUE(Await([&] {
    status = AwaitState(JobStatus::State::kTraining);
    return status.promotions > 0 && status.words.find("answers wait") != std::string::npos;
  })) << ToJson(status);
  EXPECT_NE(status.words.find("is degraded: copy"), std::string::npos) << status.words;
  kill(stopped, SIGCONT);
  AwaitInSync(*train, 1);
  EXPECT_EQ(ServerOf(*train, "0"), stopped);
  ASSERT_EQ(train->Wait(kPatience), ExitStatus{}) << OutputOf("train");
  ExpectAsIfNothingWere(undisturbed);
}

// The other copy of its shard has all, and is not heard of for longer than a start may take.
TEST(ReplicasTest, ACopyThatNobodyLetsInCostsItsServerNoOther) {
  const std::string job = WriteJob(kEpochs);
  const double undisturbed = UndisturbedChecksum(job);
  const auto train = LaunchTrain(job, WithReplica({"job.name=held", "cluster.start_timeout=8s"}));
  AwaitInSync(*train, 0);
  const int stopped = ServerOf(*train, "1");
  kill(stopped, SIGSTOP);
  kill(ServerOf(*train, "0"), SIGKILL);
  EXPECT_TRUE(Await([] {
    for (const std::string& run : FindRuns(TestFolder() + "/runs")) {
      std::ostringstream said;
      said << std::ifstream(run + "/server-0-2.log").rdbuf();
      if (said.str().find(" shard_not_let_in ") != std::string::npos) return true;
    }
    return false;
  }));
  const int again = ServerOf(*train, "0");
  kill(stopped, SIGCONT);
  AwaitInSync(*train, 1);
  EXPECT_EQ(ServerOf(*train, "0"), again);
  ASSERT_EQ(train->Wait(kPatience), ExitStatus{}) << OutputOf("train");
  ExpectAsIfNothingWere(undisturbed);
}

TEST(ReplicasTest, AServerThatIsToldToStopHandsItsShardsOverFirst) {
  const std::string job = WriteJob(kEpochs);
  const double undisturbed = UndisturbedChecksum(job);
  const auto train = LaunchTrain(job, WithReplica());
  for (uint64_t i = 0; i < 2; ++i) {
    AwaitInSync(*train, i);
    kill(ServerOf(*train, std::to_string(1 - i)), SIGTERM);
  }
  ASSERT_EQ(train->Wait(kPatience), ExitStatus{}) << OutputOf("train");
  for (const std::string server : {"server-0", "server-1"}) {
    EXPECT_NE(OutputOf("train").find(server + " ended with exit code 0"), std::string::npos)
        << OutputOf("train");
  }
  EXPECT_GE(ResultOf("promotions"), 2);
  ExpectAsIfNothingWere(undisturbed);
}

TEST(ReplicasTest, AServerThatNobodyCanReplaceStopsAfterLeaveTimeout) {
  const auto train = LaunchTrain(WriteJob(kEpochs), WithReplica({"cluster.leave_timeout=2s"}));
  AwaitInSync(*train, 0);
  kill(ServerOf(*train, "0"), SIGSTOP);
  EXPECT_TRUE(Await([] { return AwaitState(JobStatus::State::kTraining).promotions > 0; }));
  const int last = ServerOf(*train, "1");
  const auto told_at = std::chrono::steady_clock::now();
  kill(last, SIGTERM);
  EXPECT_TRUE(Await([&] { return !Runs(last); }));
  const auto took = std::chrono::steady_clock::now() - told_at;
  EXPECT_GE(took, std::chrono::milliseconds(1900));
  EXPECT_LT(took, std::chrono::seconds(15));
}

TEST(ReplicasTest, MinInSyncSaysWhetherThePrimaryAnswersAlone) {
  const std::string job = WriteJob(kEpochs);
  const double undisturbed = UndisturbedChecksum(job);
  const auto train = LaunchTrain(job, WithReplica({"replication.min_in_sync=0"}));
  AwaitInSync(*train, 0);
  const int stopped = ServerOf(*train, "0");
  kill(stopped, SIGSTOP);
  JobStatus before;
  EXPECT_TRUE(Await([&] {
    before = AwaitState(JobStatus::State::kTraining);
    return before.promotions > 0 && !AllInSync(before);
  })) << ToJson(before);
  JobStatus status;
  EXPECT_TRUE(Await([&] {
    status = AwaitState(JobStatus::State::kTraining);
    return status.shards.front().closed > before.shards.front().closed + 1;
  })) << ToJson(status);
  EXPECT_FALSE(AllInSync(status));
  kill(stopped, SIGCONT);
  ASSERT_EQ(train->Wait(kPatience), ExitStatus{}) << OutputOf("train");
  ExpectAsIfNothingWere(undisturbed);
}

}  // namespace
}  // namespace shardmill
