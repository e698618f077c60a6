// Servers that write down what their shards do, and go on from it.
#include <gtest/gtest.h>

#include <csignal>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "common/json/json.h"
#include "tests/system/launch.h"

namespace shardmill {
namespace {

constexpr std::chrono::milliseconds kPatience{400000};
constexpr uint32_t kEpochs = 300;

std::vector<std::string> WithLog(std::vector<std::string> keys = {}) {
  std::vector<std::string> arguments = {"--json", "--quiet"};
  keys.insert(keys.begin(), {"cluster.servers=2", "cluster.shards_per_server=1",
                             "replication.log=" + TestFolder() + "/logs", "cluster.lease=1s"});
  for (std::string& key : keys) {
    arguments.emplace_back("--set");
    arguments.push_back(std::move(key));
  }
  return arguments;
}

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

double UndisturbedChecksum(const std::string& job) {
  const auto whole = LaunchTrain(job, {"--json", "--quiet"});
  EXPECT_EQ(whole->Wait(kPatience), ExitStatus{}) << OutputOf("train");
  return ResultOf("weights_crc32");
}

// Waits until the job has made so many rounds, and then some.
bool AwaitRounds(const Child& train, uint64_t rounds) {
  return Await([&] {
    const JobStatus status = AwaitState(JobStatus::State::kTraining);
    return status.shards.front().closed >= rounds || !Runs(train.pid());
  });
}

void KillServers(const Child& train, bool coordinator) {
  for (const int pid : ChildrenOf(train.pid())) {
    const std::string command = CommandOf(pid);
    const bool server = command.find("shardmill-ps") != std::string::npos;
    const bool other = command.find("shardmill-coordinator") != std::string::npos;
    if (server || (coordinator && other)) kill(pid, SIGKILL);
  }
}

TEST(ShardLogTest, EverythingIsKilledAndTheJobGoesOnToTheSameWeights) {
  const std::string job = WriteJob(kEpochs);
  const double undisturbed = UndisturbedChecksum(job);
  const auto train = LaunchTrain(job, WithLog());
  ASSERT_TRUE(AwaitRounds(*train, 20));
  ASSERT_TRUE(Runs(train->pid())) << "the job was over too soon: " << OutputOf("train");
  KillServers(*train, true);
  ASSERT_EQ(train->Wait(kPatience), ExitStatus{}) << OutputOf("train");
  EXPECT_NE(OutputOf("train").find("server-0 ended with"), std::string::npos) << OutputOf("train");
  EXPECT_EQ(ResultOf("weights_crc32"), undisturbed);
  EXPECT_EQ(ResultOf("lost"), 0);
  EXPECT_EQ(ResultOf("duplicated"), 0);
  EXPECT_EQ(ResultOf("rollbacks"), 0);
}

TEST(ShardLogTest, WantsAFolderOfTheCoordinators) {
  const auto coordinator =
      Launch("coordinator", "server/shardmill-coordinator",
             {WriteJob(1), "--listen", "127.0.0.1:0", "--set", "replication.log=logs"});
  EXPECT_EQ(coordinator->Wait(kPatience)->code, 2) << OutputOf("coordinator");
  EXPECT_NE(OutputOf("coordinator").find("cluster.state"), std::string::npos);
}

TEST(ShardLogTest, OneProcessWritesInAFolder) {
  const std::string job = WriteJob(1);
  const Daemon coordinator = LaunchDaemon(
      "coordinator", "server/shardmill-coordinator",
      {job, "--listen", "127.0.0.1:0", "--set", "cluster.state=" + TestFolder() + "/state"});
  const std::vector<std::string> arguments = {
      job,
      "--index",
      "0",
      "--set",
      "cluster.coordinator=" + coordinator.where.address.substr(std::string("tcp://").size()),
      "--set",
      "replication.log=" + TestFolder() + "/logs"};
  const Daemon first = LaunchDaemon("first", "server/shardmill-ps", arguments);
  const auto second = Launch("second", "server/shardmill-ps", arguments);
  EXPECT_EQ(second->Wait(kPatience)->code, 4) << OutputOf("second");
  EXPECT_NE(OutputOf("second").find("/logs/"), std::string::npos) << OutputOf("second");
}

}  // namespace
}  // namespace shardmill
