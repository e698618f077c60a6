// Shards that go from one server to another while workers train.
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/json/json.h"
#include "tests/system/launch.h"

namespace shardmill {
namespace {

constexpr std::chrono::milliseconds kPatience{400000};
constexpr uint32_t kEpochs = 600;

double ResultOf(const std::string& key) {
  const Result<JsonValue> json = ParseJson(LastLineOf("train"));
  const JsonValue* value = json.ok() ? json.value().Find(key) : nullptr;
  const JsonValue* metrics = json.ok() ? json.value().Find("metrics") : nullptr;
  if (value == nullptr && metrics != nullptr) value = metrics->Find(key);
  EXPECT_NE(value, nullptr) << key << " in " << OutputOf("train");
  return value == nullptr ? -1 : value->number;
}

// One server with two shards and no replica, and two workers; and another server that comes later.
class MovesTest : public testing::Test {
 protected:
  void Begin(std::vector<std::string> sets = {}) {
    const auto whole = LaunchTrain(job_, {"--json", "--quiet"});
    ASSERT_EQ(whole->Wait(kPatience), ExitStatus{}) << OutputOf("train");
    checksum_ = ResultOf("weights_crc32");
    std::vector<std::string> arguments{"--json", "--quiet"};
    for (std::string& set : sets) {
      arguments.emplace_back("--set");
      arguments.push_back(std::move(set));
    }
    train_ = LaunchTrain(job_, std::move(arguments));
    AwaitState(JobStatus::State::kTraining);
    AwaitSteps(20);
    for (const int pid : ChildrenOf(train_->pid())) {
      const std::string command = CommandOf(pid);
      const std::string key = "cluster.coordinator=";
      const size_t at = command.find(key);
      if (command.find("shardmill-ps") == std::string::npos || at == std::string::npos) continue;
      set_ = command.substr(at, command.find(' ', at) - at);
    }
    ASSERT_FALSE(set_.empty());
    other_ = Launch("other", "server/shardmill-ps", {job_, "--index", "1", "--set", set_});
  }

  static void AwaitSteps(uint64_t steps) {
    EXPECT_TRUE(Await([&] {
      const JobStatus status = AwaitState(JobStatus::State::kTraining);
      return !status.workers.empty() && status.workers[0].step >= steps;
    }));
  }

  int Rebalance(const std::string& name, std::vector<std::string> more = {}) {
    std::vector<std::string> arguments{"rebalance", job_, "--set", set_};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const auto command = Launch(name, "cli/shardmill", arguments);
    const std::optional<ExitStatus> status = command->Wait(kPatience);
    return status ? status->code : -1;
  }

  // The servers that have the shards.
  static std::vector<uint32_t> Hosts() {
    std::vector<uint32_t> hosts;
    for (const JobStatus::Shard& shard : AwaitState(JobStatus::State::kTraining).shards) {
      hosts.push_back(shard.host);
    }
    return hosts;
  }

  // The coordinator's page says so a moment later.
  static void ExpectHosts(const std::vector<uint32_t>& hosts, const std::string& name) {
    EXPECT_TRUE(Await([&hosts] { return Hosts() == hosts; })) << OutputOf(name);
  }

  void ExpectAsIfNothingWere() {
    ASSERT_EQ(train_->Wait(kPatience), ExitStatus{}) << OutputOf("train");
    EXPECT_EQ(ResultOf("weights_crc32"), checksum_);
    EXPECT_EQ(ResultOf("lost"), 0);
    EXPECT_EQ(ResultOf("duplicated"), 0);
    EXPECT_EQ(ResultOf("rollbacks"), 0);
  }

  std::string job_ = WriteJob(kEpochs);
  double checksum_ = 0;
  std::unique_ptr<Child> train_;
  std::unique_ptr<Child> other_;
  std::string set_;
};

TEST_F(MovesTest, ShardsGoToAServerThatComesAndBackAndTheWeightsAreTheSame) {
  Begin();
  EXPECT_EQ(Hosts(), (std::vector<uint32_t>{0, 0}));
  ASSERT_TRUE(Await([&] {
    return Rebalance("plan", {"--dry-run"}) == 0 &&
           OutputOf("plan").find("server 0 -> 1") != std::string::npos;
  })) << OutputOf("plan");
  EXPECT_EQ(Hosts(), (std::vector<uint32_t>{0, 0}));
  ASSERT_EQ(Rebalance("even"), 0) << OutputOf("even");
  ExpectHosts({1, 0}, "even");
  ASSERT_EQ(Rebalance("drain", {"--drain", "0"}), 0) << OutputOf("drain");
  ExpectHosts({1, 1}, "drain");
  ASSERT_EQ(Rebalance("back", {"--drain", "1"}), 0) << OutputOf("back");
  ExpectHosts({0, 0}, "back");
  EXPECT_EQ(Rebalance("nowhere", {"--drain", "0", "--drain", "1"}), 1);
  EXPECT_NE(OutputOf("nowhere").find("no server to go to"), std::string::npos);
  ExpectAsIfNothingWere();
}

TEST_F(MovesTest, AServerThatIsToldToStopHandsOverWhatNobodyElseHas) {
  Begin();
  ASSERT_TRUE(Await([&] {
    return Rebalance("drain", {"--drain", "0"}) == 0;
  })) << OutputOf("drain");
  ExpectHosts({1, 1}, "drain");
  other_->Terminate();
  EXPECT_EQ(other_->Wait(kPatience), ExitStatus{}) << OutputOf("other");
  ExpectHosts({0, 0}, "other");
  ExpectAsIfNothingWere();
}

}  // namespace
}  // namespace shardmill
