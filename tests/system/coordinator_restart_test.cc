// A coordinator that ends and is started again, among real processes.
#include <gtest/gtest.h>

#include <csignal>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "client/session.h"
#include "common/http/http_client.h"
#include "common/json/json.h"
#include "tests/sanitized.h"
#include "tests/system/launch.h"

namespace shardmill {
namespace {

using State = JobStatus::State;

constexpr std::chrono::milliseconds kPatience{120000};
constexpr uint32_t kEpochs = kSanitized ? 6 : 40;

JsonValue ResultOf(const Child& train) {
  EXPECT_NE(train.pid(), 0);
  Result<JsonValue> json = ParseJson(LastLineOf(train.name()));
  EXPECT_TRUE(json.ok()) << OutputOf(train.name());
  return json.ok() ? std::move(json).value() : JsonValue{};
}

double At(const JsonValue& json, const char* key) {
  const JsonValue* value = json.Find(key);
  EXPECT_NE(value, nullptr) << key;
  return value == nullptr ? -1 : value->number;
}

double Checksum(const JsonValue& result) {
  const JsonValue* metrics = result.Find("metrics");
  return metrics == nullptr ? -1 : At(*metrics, "weights_crc32");
}

// The child of `train` that runs this program; 0 where there is none.
int ChildNamed(const Child& train, const std::string& program) {
  for (const int pid : ChildrenOf(train.pid())) {
    if (CommandOf(pid).find(program) != std::string::npos) return pid;
  }
  return 0;
}

TEST(CoordinatorRestartTest, TrainingComesToTheSameWeightsHoweverOftenItIsKilled) {
  const std::string job = WriteJob(kEpochs);
  const auto whole = LaunchTrain(job, {"--json", "--quiet"});
  ASSERT_EQ(whole->Wait(kPatience), ExitStatus{}) << OutputOf("train");
  const JsonValue undisturbed = ResultOf(*whole);

  const auto train = LaunchTrain(job, {"--json", "--quiet"});
  AwaitState(State::kTraining);
  int killed = 0;
  int before = 0;
  for (; killed < 5 && !train->Poll(); ++killed) {
    int now = 0;
    EXPECT_TRUE(Await([&] {
      now = ChildNamed(*train, "shardmill-coordinator");
      return train->Poll() || (now != 0 && now != before);
    })) << OutputOf("train");
    if (train->Poll()) break;
    kill(now, SIGKILL);
    before = now;
  }
  ASSERT_EQ(train->Wait(kPatience), ExitStatus{}) << OutputOf("train");
  EXPECT_GE(killed, 2) << "the job was over too soon";
  EXPECT_NE(OutputOf("train").find("coordinator ended with signal 9"), std::string::npos);
  const JsonValue result = ResultOf(*train);
  EXPECT_EQ(At(result, "lost"), 0);
  EXPECT_EQ(At(result, "duplicated"), 0);
  EXPECT_EQ(At(result, "steps"), At(undisturbed, "steps"));
  EXPECT_EQ(Checksum(result), Checksum(undisturbed));
}

// One worker that the test plays, and daemons that it starts and kills as an operator would.
class CoordinatorStateTest : public testing::Test {
 protected:
  CoordinatorStateTest() {
    coordinator_ = StartCoordinator("coordinator", "127.0.0.1:0");
    address_ = coordinator_.where.address.substr(std::string("tcp://").size());
  }

  std::vector<std::string> Arguments(std::vector<std::string> more) const {
    std::vector<std::string> arguments{job_};
    for (const char* set : {"cluster.workers=1", "cluster.shards_per_server=1",
                            "optimizer.learning_rate=1", "cluster.lease=1s"}) {
      arguments.insert(arguments.end(), {"--set", set});
    }
    arguments.insert(arguments.end(), {"--set", "cluster.state=" + state_});
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }
  Daemon StartCoordinator(const std::string& name, const std::string& listen) const {
    return LaunchDaemon(name, "server/shardmill-coordinator", Arguments({"--listen", listen}));
  }
  void StartServer() {
    server_ = LaunchDaemon("server", "server/shardmill-ps",
                           Arguments({"--index", "0", "--set", "cluster.coordinator=" + address_}));
  }
  void Restart() {
    coordinator_.process->Kill();
    EXPECT_TRUE(coordinator_.process->Wait(kPatience).has_value());
    coordinator_ = StartCoordinator("again", address_);
  }
  void OpenSession() {
    SessionOptions options;
    options.coordinator = address_;
    options.lease = std::chrono::seconds(1);
    auto session = Session::Open(options);
    ASSERT_TRUE(session.ok()) << session.error().message;
    session_ = std::move(session).value();
  }
  DenseTable Table(const std::string& name) {
    const auto table = session_->Dense(name, 2);
    EXPECT_TRUE(table.ok()) << table.error().message;
    return table.ok() ? table.value() : DenseTable{};
  }
  // Pushes -1 to each float, and reads what is there after.
  std::vector<float> Step(DenseTable table) {
    std::vector<float> values(2);
    auto step = session_->Begin(kPatience);
    EXPECT_TRUE(step.value().Push(table, 0, std::vector<float>{-1, -1}).ok());
    const auto finished = step.value().Finish(1);
    EXPECT_TRUE(finished.ok()) << finished.error().message;
    auto next = session_->Begin(kPatience);
    const auto pull = next.value().Pull(table, 0, values);
    EXPECT_TRUE(pull.ok() && next.value().Wait(pull.value()).ok());
    return values;
  }
  JobStatus Status() const {
    const auto text = HttpGetBody(coordinator_.where.http, "/status", kPatience);
    EXPECT_TRUE(text.ok()) << text.error().message;
    const auto status = ParseJobStatus(text.ok() ? text.value() : "");
    EXPECT_TRUE(status.ok()) << status.error().message;
    return status.ok() ? status.value() : JobStatus{};
  }

  std::string job_ = WriteJob(1);
  std::string state_ = TestFolder() + "/state";
  Daemon coordinator_;
  Daemon server_;
  std::string address_;
  std::unique_ptr<Session> session_;
};

TEST_F(CoordinatorStateTest, TrainingGoesOnWhileItIsAwayAndTablesAreMadeWhenItIsBack) {
  StartServer();
  OpenSession();
  const DenseTable table = Table("first");
  EXPECT_EQ(Step(table), std::vector<float>(2, 1));
  coordinator_.process->Kill();
  EXPECT_EQ(Step(table), std::vector<float>(2, 2));
  Restart();
  EXPECT_EQ(Step(table), std::vector<float>(2, 3));
  EXPECT_EQ(Step(Table("second")), std::vector<float>(2, 1));
  EXPECT_EQ(Step(table), std::vector<float>(2, 4));
  // Whoever comes with this rank now does not take it from who has it.
  EXPECT_EQ(Status().workers.at(0).incarnation, 1U);
  ASSERT_TRUE(session_->Close(true).ok());
  EXPECT_TRUE(Await([this] { return Status().state == State::kDone; }));
  // And a job that is done stays so.
  Restart();
  EXPECT_EQ(Status().state, State::kDone);
}

TEST_F(CoordinatorStateTest, MayEndBeforeTheJobHasBegun) {
  StartServer();
  EXPECT_TRUE(Await([this] { return Status().words == "waiting for worker 0"; }));
  Restart();
  OpenSession();
  EXPECT_EQ(Step(Table("first")), std::vector<float>(2, 1));
}

TEST_F(CoordinatorStateTest, IsKeptByOneProcessAtATime) {
  const auto second =
      Launch("second", "server/shardmill-coordinator", Arguments({"--listen", "127.0.0.1:0"}));
  EXPECT_EQ(second->Wait(kPatience), (ExitStatus{4, 0}));
  EXPECT_NE(OutputOf("second").find("another process has the log " + state_), std::string::npos)
      << OutputOf("second");
}

TEST_F(CoordinatorStateTest, BelongsToAJobOfOneSize) {
  coordinator_.process->Kill();
  EXPECT_TRUE(coordinator_.process->Wait(kPatience).has_value());
  const auto other = Launch("other", "server/shardmill-coordinator",
                            Arguments({"--listen", "127.0.0.1:0", "--set", "cluster.workers=2"}));
  EXPECT_EQ(other->Wait(kPatience), (ExitStatus{2, 0}));
  EXPECT_NE(OutputOf("other").find("has 1 workers, 1 shards"), std::string::npos)
      << OutputOf("other");
}

// Somebody has put an old copy of the folder in its place.
TEST_F(CoordinatorStateTest, ThatIsNotTheLatestIsNotGoneOnFrom) {
  StartServer();
  OpenSession();
  const std::string old = state_ + ".old";
  std::filesystem::copy(state_, old);
  const DenseTable table = Table("first");
  EXPECT_EQ(Step(table), std::vector<float>(2, 1));
  coordinator_.process->Kill();
  EXPECT_TRUE(coordinator_.process->Wait(kPatience).has_value());
  const std::string latest = std::exchange(state_, old);
  const Daemon outdated = StartCoordinator("outdated", address_);
  EXPECT_EQ(outdated.process->Wait(kPatience), (ExitStatus{2, 0}));
  EXPECT_NE(OutputOf("outdated").find("its log is not the latest"), std::string::npos)
      << OutputOf("outdated");
  state_ = latest;
  coordinator_ = StartCoordinator("again", address_);
  EXPECT_EQ(Step(table), std::vector<float>(2, 2));
  EXPECT_EQ(Step(Table("second")), std::vector<float>(2, 1));
}

}  // namespace
}  // namespace shardmill
