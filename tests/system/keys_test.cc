// Keys of the job file, each with a job on which it shows (tests/common/job/key_coverage.txt).
#include <gtest/gtest.h>
#include <signal.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <set>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "cli/run_folder.h"
#include "common/json/json.h"
#include "tests/system/launch.h"

namespace shardmill {
namespace {

constexpr std::chrono::milliseconds kPatience{60000};
constexpr const char* kTwoLayers =
    "model.layers=[{type='flatten'},{type='affine',units=256},{type='affine',units=4}]";

// Trains the small job for an epoch with one setting more. Null where that fails.
JsonValue TrainWith(std::vector<std::string> settings, int code = 0) {
  const std::string job = WriteJob(1);
  std::vector<std::string> arguments{"--json", "--quiet"};
  for (std::string& setting : settings) {
    arguments.emplace_back("--set");
    arguments.push_back(std::move(setting));
  }
  const auto train = LaunchTrain(job, std::move(arguments));
  EXPECT_EQ(train->Wait(kPatience), (ExitStatus{code, 0})) << OutputOf("train");
  if (code != 0) return {};
  Result<JsonValue> json = ParseJson(LastLineOf("train"));
  EXPECT_TRUE(json.ok()) << OutputOf("train");
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

TEST(KeysTest, JobNameAndRunsSayWhereResultsGo) {
  const std::string elsewhere = TestFolder() + "/elsewhere";
  TrainWith({"job.name=other", "job.runs=" + elsewhere});
  const std::vector<std::string> runs = FindRuns(elsewhere);
  ASSERT_EQ(runs.size(), 1U);
  EXPECT_NE(runs[0].find("/other-"), std::string::npos) << runs[0];
}

TEST(KeysTest, JobSeedChangesTheWeights) {
  EXPECT_NE(Checksum(TrainWith({})), Checksum(TrainWith({"job.seed=6"})));
}

TEST(KeysTest, OverlapChangesNoWeight) {
  EXPECT_EQ(Checksum(TrainWith({})), Checksum(TrainWith({"train.overlap=false"})));
}

TEST(KeysTest, ClusterSizesAreWhatRuns) {
  const JsonValue result =
      TrainWith({"cluster.servers=2", "cluster.shards_per_server=3", "cluster.workers=4"});
  EXPECT_EQ(At(result, "shards"), 6);
  EXPECT_EQ(At(result, "workers"), 4);
}

TEST(KeysTest, LearningRateChangesTheWeights) {
  EXPECT_NE(Checksum(TrainWith({})), Checksum(TrainWith({"optimizer.learning_rate=0.01"})));
}

TEST(KeysTest, OptimizerNameChangesTheWeights) {
  EXPECT_NE(Checksum(TrainWith({})), Checksum(TrainWith({"optimizer.name=adagrad"})));
}

TEST(KeysTest, AggregateChangesTheWeights) {
  EXPECT_NE(Checksum(TrainWith({})), Checksum(TrainWith({"policy.aggregate=sum"})));
}

TEST(KeysTest, ClipNormBoundsEachGradient) {
  EXPECT_EQ(Checksum(TrainWith({})), Checksum(TrainWith({"optimizer.clip_norm=1e9"})));
  EXPECT_NE(Checksum(TrainWith({})), Checksum(TrainWith({"optimizer.clip_norm=0.001"})));
}

TEST(KeysTest, ExchangeOfParametersTakesAsManyStepsAsThereAreAverages) {
  const double steps = At(TrainWith({}), "steps");
  const std::string exchange = "policy.exchange=parameters";
  EXPECT_EQ(At(TrainWith({exchange}), "steps"), steps);
  EXPECT_EQ(At(TrainWith({exchange, "policy.average_every=3"}), "steps"), std::ceil(steps / 3));
  EXPECT_EQ(At(TrainWith({exchange, "policy.average_every=0", "train.epochs=2"}), "steps"), 2);
}

TEST(KeysTest, BackupsAreNotWaitedFor) {
  const JsonValue result = TrainWith({"cluster.workers=4", "policy.backups=2", "train.epochs=4"});
  EXPECT_GT(At(result, "discarded"), 0);
  EXPECT_EQ(At(result, "lost"), 0);
  EXPECT_FALSE(result.Find("reproducible")->flag);
}

// A rate so high that the loss, and then the gradient, leave all numbers.
TEST(KeysTest, OnNonfiniteSaysWhatBecomesOfAGradientThatIsNoNumber) {
  const std::vector<std::string> wild{"optimizer.learning_rate=1e6", "optimizer.l2=1e6"};
  const auto with = [&wild](const char* rule) {
    std::vector<std::string> settings = wild;
    settings.push_back(std::string("policy.on_nonfinite=") + rule);
    return settings;
  };
  TrainWith(with("reject"), 1);
  EXPECT_NE(OutputOf("train").find("NaN or an infinity"), std::string::npos) << OutputOf("train");
  // Either way the model is no good, and the command says so.
  for (const char* const rule : {"skip", "accept"}) {
    TrainWith(with(rule), 1);
    const std::string output = OutputOf("train");
    EXPECT_NE(output.find("came to no number"), std::string::npos) << output;
    EXPECT_EQ(output.find(R"("skipped":0,)") != std::string::npos, rule == std::string("accept"))
        << output;
  }
}

TEST(KeysTest, BatchSizeAndEpochsMakeTheSteps) {
  EXPECT_EQ(At(TrainWith({"data.batch_size=50", "train.epochs=3"}), "steps"), 3 * 20);
}

TEST(KeysTest, SchemeSaysWhichRowsAWorkerSees) {
  std::set<double> checksums;
  for (const std::string scheme : {"contiguous", "round_robin", "random", "overlap"}) {
    const JsonValue result = TrainWith({"data.scheme=" + scheme});
    // Only where they overlap does each of the two workers go through all rows.
    EXPECT_EQ(At(result, "steps"), scheme == "overlap" ? 100 : 50) << scheme;
    EXPECT_TRUE(checksums.insert(Checksum(result)).second) << scheme;
  }
}

TEST(KeysTest, MetricsAreThoseAskedFor) {
  const JsonValue result = TrainWith({"model.metrics=['loss']"});
  ASSERT_NE(result.Find("metrics"), nullptr);
  EXPECT_NE(result.Find("metrics")->Find("loss"), nullptr);
  EXPECT_EQ(result.Find("metrics")->Find("accuracy"), nullptr);
}

TEST(KeysTest, LayersAndTheirUnitsMakeTheNetwork) {
  TrainWith({"model.layers=[{type='flatten'},{type='affine',units=3}]"}, 2);
  EXPECT_NE(OutputOf("train").find("3 units, but the data has 4 classes"), std::string::npos)
      << OutputOf("train");
  TrainWith({"model.layers=[{type='affine',units=4}]"}, 2);
  EXPECT_NE(OutputOf("train").find("put a \"flatten\" layer before it"), std::string::npos)
      << OutputOf("train");
}

TEST(KeysTest, UnitBytesCutWhatIsPushed) {
  const double whole = At(TrainWith({kTwoLayers}), "pushes");
  EXPECT_GT(At(TrainWith({kTwoLayers, "network.unit_bytes=4KiB"}), "pushes"), whole);
}

TEST(KeysTest, HeldBytesBoundWhatAShardKeeps) {
  TrainWith({kTwoLayers, "network.unit_bytes=4KiB", "network.held_bytes=8KiB"}, 1);
  EXPECT_NE(OutputOf("train").find("network.held_bytes"), std::string::npos) << OutputOf("train");
}

// What a process of the test's only run wrote.
std::string LogOf(const std::string& process) {
  const std::vector<std::string> runs = FindRuns(TestFolder() + "/runs");
  if (runs.empty()) return "no run";
  std::ostringstream text;
  text << std::ifstream(runs[0] + "/" + process + ".log").rdbuf();
  return text.str();
}

TEST(KeysTest, LogLevelSilencesWhatIsBelowIt) {
  TrainWith({"log.level=error"});
  EXPECT_EQ(LogOf("coordinator").find("coordinator_listens"), std::string::npos);
}

TEST(KeysTest, HttpBindIsWherePagesAreServed) {
  TrainWith({"http.bind=127.0.0.3"});
  EXPECT_NE(LogOf("coordinator").find("http=127.0.0.3:"), std::string::npos);
}

// Starts a daemon and waits until it has written `words`.
std::unique_ptr<Child> LaunchUntil(const std::string& words, const std::string& name,
                                   const std::string& program, std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), WriteJob(1));
  auto child = Launch(name, program, std::move(arguments));
  for (int i = 0; i < 3000 && OutputOf(name).find(words) == std::string::npos; ++i) {
    EXPECT_FALSE(child->Wait(std::chrono::milliseconds(10)).has_value()) << OutputOf(name);
  }
  return child;
}

std::unique_ptr<Child> LaunchCoordinator(const std::string& name, const std::string& setting) {
  return LaunchUntil("coordinator_listens", name, "server/shardmill-coordinator",
                     {"--listen", "127.0.0.1:0", "--set", setting});
}

TEST(KeysTest, HostAndServerPortAreWhereServersListen) {
  const auto coordinator =
      LaunchUntil("coordinator_listens", "coordinator", "server/shardmill-coordinator",
                  {"--listen", "127.0.0.1:23455"});
  const auto server =
      LaunchUntil("shard_listens shard=1", "server", "server/shardmill-ps",
                  {"--index", "0", "--set", "cluster.host=127.0.0.2", "--set",
                   "cluster.server_port=23456", "--set", "cluster.coordinator=127.0.0.1:23455"});
  EXPECT_NE(OutputOf("server").find("endpoint=tcp://127.0.0.2:23456"), std::string::npos);
  EXPECT_NE(OutputOf("server").find("endpoint=tcp://127.0.0.2:23457"), std::string::npos);
}

TEST(KeysTest, HttpCanBeSwitchedOff) {
  const auto with = LaunchCoordinator("with", "http.enabled=true");
  EXPECT_EQ(OutputOf("with").find("http=off"), std::string::npos);
  const auto without = LaunchCoordinator("without", "http.enabled=false");
  EXPECT_NE(OutputOf("without").find("http=off"), std::string::npos);
}

TEST(KeysTest, IoThreadsAreThreads) {
  const auto threads = [](const Child& child) {
    const std::string folder = "/proc/" + std::to_string(child.pid()) + "/task";
    const std::filesystem::directory_iterator begin(folder);
    return std::distance(begin, std::filesystem::directory_iterator());
  };
  const auto one = LaunchCoordinator("one", "network.io_threads=1");
  const auto three = LaunchCoordinator("three", "network.io_threads=3");
  // Threads come and go while a process begins.
  for (int i = 0; i < 500 && threads(*three) != threads(*one) + 2; ++i) {
    EXPECT_FALSE(three->Wait(std::chrono::milliseconds(10)).has_value());
  }
  EXPECT_EQ(threads(*three), threads(*one) + 2);
}

TEST(KeysTest, ReportEverySaysHowOftenAWorkerReports) {
  const std::string job = WriteJob(100000);
  const auto train = LaunchTrain(job, {"--quiet", "--set", "train.report_every=1000000"});
  for (int i = 0; i < 100; ++i) {
    for (const JobStatus::Worker& worker : AwaitState(JobStatus::State::kTraining).workers) {
      ASSERT_EQ(worker.step % 50, 0U);  // Only where an epoch ends.
    }
  }
  train->Terminate();
  EXPECT_TRUE(train->Wait(kPatience).has_value());
}

TEST(KeysTest, StepTimeoutEndsTheWaitForAWorkerThatStandsStill) {
  const std::string job = WriteJob(100000);
  const auto train = LaunchTrain(job, {"--quiet", "--set", "network.step_timeout=1s"});
  AwaitState(JobStatus::State::kTraining);
  for (const int pid : ChildrenOf(train->pid())) {
    if (CommandOf(pid).find("--rank 1") != std::string::npos) kill(pid, SIGSTOP);
  }
  EXPECT_EQ(train->Wait(kPatience), (ExitStatus{4, 0})) << OutputOf("train");
  EXPECT_NE(OutputOf("train").find("which waits for worker 1 to finish round"), std::string::npos)
      << OutputOf("train");
}

}  // namespace
}  // namespace shardmill
