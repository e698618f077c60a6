// What [compute] of a job file does to a whole job, with a card and without.
#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "cli/run_folder.h"
#include "common/json/json.h"
#include "tests/system/launch.h"

namespace shardmill {
namespace {

constexpr std::chrono::seconds kPatience{60};

bool Says(const std::string& name, const std::string& words) {
  return OutputOf(name).find(words) != std::string::npos;
}

TEST(ComputeTest, AutoTrainsAndSaysOnWhat) {
  const auto train = LaunchTrain(
      WriteJob(1), {"--single", "--set", "compute.device=auto", "--set", "train.steps=2"});
  EXPECT_EQ(train->Wait(kPatience), ExitStatus{}) << OutputOf("train");
  EXPECT_TRUE(Says("train", "computes on cuda:") ||
              Says("train", "computes on the processor, since "))
      << OutputOf("train");
}

TEST(ComputeTest, CudaTrainsOrIsWhyNothingDoes) {
  const auto train = LaunchTrain(
      WriteJob(1), {"--single", "--set", "compute.device=cuda", "--set", "train.steps=2"});
  const std::optional<ExitStatus> status = train->Wait(kPatience);
  if (Says("train", "computes on cuda:")) {
    EXPECT_EQ(status, ExitStatus{}) << OutputOf("train");
  } else {
    EXPECT_EQ(status, (ExitStatus{.code = 2})) << OutputOf("train");
    EXPECT_TRUE(Says("train", "\"compute.device\" is \"cuda\": there is no card"))
        << OutputOf("train");
  }
}

TEST(ComputeTest, ATrainingByItselfRefusesToRoundGradientsThatStayOnTheCard) {
  const auto train = LaunchTrain(
      WriteJob(1), {"--single", "--set", "compute.device=auto", "--set", "compute.gradients=bf16"});
  EXPECT_EQ(train->Wait(kPatience), (ExitStatus{.code = 2})) << OutputOf("train");
  EXPECT_TRUE(Says("train", "set compute.gradients to \"float\"")) << OutputOf("train");
}

TEST(ComputeTest, WorkersSayOnWhatTheyCompute) {
  const auto train =
      LaunchTrain(WriteJob(1), {"--set", "compute.device=auto", "--set", "train.steps=2"});
  EXPECT_EQ(train->Wait(kPatience), ExitStatus{}) << OutputOf("train");
  const auto run = std::filesystem::directory_iterator(TestFolder() + "/runs");
  for (const char* const worker : {"worker-0.log", "worker-1.log"}) {
    std::ostringstream said;
    said << std::ifstream(run->path() / worker).rdbuf();
    EXPECT_NE(said.str().find(" computes on="), std::string::npos) << said.str();
  }
}

constexpr const char* kDeep =
    "model.layers=[{type='flatten'},{type='affine',units=64},{type='silu'},{type='dropout',rate=0."
    "1},"
    "{type='batch_norm1d'},{type='relu'},{type='affine',units=64},{type='silu'},"
    "{type='batch_norm1d'},{type='affine',units=4}]";

// The checksum of the weights of a deep net that was trained under these settings.
double ChecksumWith(const std::vector<std::string>& settings) {
  std::vector<std::string> arguments{"--json", "--quiet", "--set", kDeep};
  for (const std::string& setting : settings) {
    arguments.emplace_back("--set");
    arguments.push_back(setting);
  }
  const auto train = LaunchTrain(WriteJob(1), arguments);
  EXPECT_EQ(train->Wait(kPatience), ExitStatus{}) << OutputOf("train");
  const Result<JsonValue> json = ParseJson(LastLineOf("train"));
  if (!json.ok()) return 0;
  const JsonValue* const metrics = json.value().Find("metrics");
  const JsonValue* const sum = metrics == nullptr ? nullptr : metrics->Find("weights_crc32");
  EXPECT_NE(sum, nullptr) << OutputOf("train");
  return sum == nullptr ? 0 : sum->number;
}

// Whether each worker of the last run has said that it computes layers again.
bool WorkersComputeAgain() {
  const std::string run = FindRuns(TestFolder() + "/runs").front();
  for (const char* const worker : {"worker-0.log", "worker-1.log"}) {
    std::ostringstream said;
    said << std::ifstream(run + "/" + worker).rdbuf();
    if (said.str().find(" computes_again what=") == std::string::npos) return false;
  }
  return true;
}

TEST(ComputeTest, ComputesLayersAgainToTheSameWeightsAndSaysSo) {
  const double kept = ChecksumWith({"compute.recompute=never"});
  EXPECT_FALSE(WorkersComputeAgain());
  EXPECT_EQ(ChecksumWith({"compute.recompute=always"}), kept);
  EXPECT_TRUE(WorkersComputeAgain());
}

// The programs beside a card of software. Returns where `shardmill` is.
std::string ProgramsWithCard() {
  const std::filesystem::path folder = TestFolder() + "/bin";
  std::filesystem::create_directories(folder);
  for (const char* const program : {"cli/shardmill", "server/shardmill-coordinator",
                                    "server/shardmill-ps", "worker/shardmill-worker"}) {
    std::filesystem::copy_file(program, folder / std::filesystem::path(program).filename());
  }
  std::filesystem::copy_file("tests/nn/soft_card/libshardmill_soft_card.so",
                             folder / "libshardmill_cuda.so");
  return std::filesystem::proximate(folder / "shardmill");
}

// What each worker of the last run says of its card. The second convolution is none of cuDNN's.
void ExpectCards(size_t workers) {
  const std::string run = FindRuns(TestFolder() + "/runs").front();
  std::ostringstream text;
  text << std::ifstream(run + "/result.json").rdbuf();
  const JsonValue result = ParseJson(text.str()).value();
  const JsonValue* const computed = result.Find("computed");
  ASSERT_NE(computed, nullptr) << text.str();
  ASSERT_EQ(computed->items.size(), workers) << text.str();
  for (const JsonValue& one : computed->items) {
    const auto count = [&one](const char* of, const char* what) {
      return one.Find(of)->Find(what)->whole;
    };
    EXPECT_EQ(one.Find("on")->text, "cuda:0 (soft card)");
    EXPECT_GT(count("pieces", "replayed"), count("pieces", "recorded"));
    EXPECT_GT(count("convolutions", "by_library"), 0U);
    EXPECT_GT(count("convolutions", "by_kernels"), 0U);
    EXPECT_EQ(one.Find("slower")->items.size(), 1U);
  }
}

TEST(ComputeTest, ResultsSayWhatCardsDid) {
  const std::string program = ProgramsWithCard();
  const std::string job = WriteJob(1);
  const auto train = [&](const std::vector<std::string>& more) {
    std::vector<std::string> arguments{"train",
                                       job,
                                       "--set",
                                       "compute.device=cuda",
                                       "--set",
                                       "train.steps=6",
                                       "--set",
                                       "model.layers=[{type='conv2d',units=2,kernel=3},"
                                       "{type='conv2d',units=2,kernel=3,groups=2},"
                                       "{type='flatten'},{type='affine',units=4}]"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    EXPECT_EQ(Launch("train", program, arguments)->Wait(kPatience), ExitStatus{})
        << OutputOf("train");
    EXPECT_TRUE(Says("train", " convolutions are done by kernels of our own")) << OutputOf("train");
  };
  train({});
  ExpectCards(2);
  std::ostringstream said;
  said << std::ifstream(FindRuns(TestFolder() + "/runs").front() + "/worker-1.log").rdbuf();
  EXPECT_NE(said.str().find(" computed pieces_asked="), std::string::npos) << said.str();
  EXPECT_NE(said.str().find(" slower why="), std::string::npos) << said.str();
  train({"--single"});
  ExpectCards(1);
}

// The result of a training with these settings, of the programs that are where `program` is.
JsonValue ResultOf(const std::string& program, const std::vector<std::string>& settings,
                   bool single = false) {
  std::vector<std::string> arguments{"train", WriteJob(1), "--json", "--quiet"};
  if (single) arguments.emplace_back("--single");
  for (const std::string& setting : settings) {
    arguments.emplace_back("--set");
    arguments.push_back(setting);
  }
  EXPECT_EQ(Launch("train", program, arguments)->Wait(kPatience), ExitStatus{})
      << OutputOf("train");
  return ParseJson(LastLineOf("train")).value();
}

double MetricOf(const JsonValue& result, const char* name) {
  return result.Find("metrics")->Find(name)->number;
}

TEST(ComputeTest, WorkersThatAverageStepOnTheirCards) {
  const std::vector<std::string> settings{"policy.exchange=parameters", "policy.average_every=3",
                                          "optimizer.name=momentum", "optimizer.clip_norm=1"};
  const JsonValue want = ResultOf("cli/shardmill", settings);
  std::vector<std::string> on_cards = settings;
  on_cards.emplace_back("compute.device=cuda");
  const JsonValue got = ResultOf(ProgramsWithCard(), on_cards);
  EXPECT_NEAR(MetricOf(got, "train_loss"), MetricOf(want, "train_loss"), 1e-3);
  ASSERT_EQ(got.Find("computed")->items.size(), 2U);
  for (const JsonValue& one : got.Find("computed")->items) {
    EXPECT_GT(one.Find("steps_on_device")->whole, 0U);
  }
}

TEST(ComputeTest, ATrainingByItselfGoesOnOnACardToTheSameBits) {
  const std::string program = ProgramsWithCard();
  const std::vector<std::string> settings{"compute.device=cuda", "optimizer.name=adam",
                                          "snapshot.to=" + TestFolder() + "/kept"};
  const auto with = [&settings](std::vector<std::string> more) {
    more.insert(more.end(), settings.begin(), settings.end());
    return more;
  };
  const JsonValue whole = ResultOf(program, with({"train.steps=6", "job.name=whole"}), true);
  EXPECT_EQ(whole.Find("computed")->items.front().Find("steps_on_device")->whole, 6U);
  EXPECT_FALSE(whole.Find("reproducible")->flag);
  ResultOf(program, with({"train.steps=3"}), true);
  const JsonValue rest = ResultOf(program, with({"train.steps=6", "snapshot.resume=latest"}), true);
  EXPECT_EQ(MetricOf(rest, "weights_crc32"), MetricOf(whole, "weights_crc32"));
}

TEST(ComputeTest, SaysWhereGradientsLeaveACardToBeAddedUp) {
  const JsonValue result =
      ResultOf(ProgramsWithCard(), {"compute.device=cuda", "train.accumulate=2"}, true);
  const JsonValue& computed = result.Find("computed")->items.front();
  EXPECT_EQ(computed.Find("steps_on_device")->whole, 0U);
  const std::vector<JsonValue>& slower = computed.Find("slower")->items;
  ASSERT_FALSE(slower.empty());
  EXPECT_NE(slower.back().text.find("train.accumulate"), std::string::npos) << slower.back().text;
}

TEST(ComputeTest, StepsKeepWithinTheirMemoryOrSayWhatIsMissing) {
  const double kept = ChecksumWith({});
  EXPECT_FALSE(WorkersComputeAgain());
  EXPECT_EQ(ChecksumWith({"compute.memory=36KiB"}), kept);
  EXPECT_TRUE(WorkersComputeAgain());
  const auto train =
      LaunchTrain(WriteJob(1), {"--single", "--set", kDeep, "--set", "compute.memory=4KiB"});
  EXPECT_EQ(train->Wait(kPatience), (ExitStatus{.code = 2})) << OutputOf("train");
  EXPECT_TRUE(Says("train", "there is no room for a batch of 20 rows: it takes at the least"))
      << OutputOf("train");
}

}  // namespace
}  // namespace shardmill
