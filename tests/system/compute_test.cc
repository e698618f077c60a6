// What [compute] of a job file does to a whole job, with a card and without.
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

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
    EXPECT_EQ(status, (ExitStatus{.code = 4})) << OutputOf("train");
    EXPECT_TRUE(Says("train", "\"compute.device\" is \"cuda\": ")) << OutputOf("train");
  }
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

}  // namespace
}  // namespace shardmill
