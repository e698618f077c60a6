// The sample job on the real data set, which must be on the machine.
#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>

#include "common/json/json.h"
#include "tests/system/launch.h"

namespace shardmill {
namespace {

constexpr std::chrono::minutes kPatience{4};
constexpr double kAccuracyMin = 0.82;  // 0.83 to 0.84 is what softmax regression can.

// The metrics of the sample job under that policy.
JsonValue Train(const std::string& policy) {
  std::vector<std::string> arguments = {"--json", "--quiet",
                                        "--set",  "policy.mode=" + policy,
                                        "--set",  "job.runs=" + TestFolder() + "/runs"};
  if (policy == "stale") arguments.insert(arguments.end(), {"--set", "policy.staleness=3"});
  const auto train = LaunchTrain("configs/quickstart.toml", std::move(arguments));
  EXPECT_EQ(train->Wait(kPatience), ExitStatus{}) << OutputOf("train");
  const Result<JsonValue> json = ParseJson(LastLineOf("train"));
  EXPECT_TRUE(json.ok()) << OutputOf("train");
  if (!json.ok() || !json.value().Find("metrics")) return {};
  std::printf("%s: %s\n", policy.c_str(), LastLineOf("train").c_str());
  EXPECT_EQ(json.value().Find("lost")->number, 0);
  EXPECT_EQ(json.value().Find("duplicated")->number, 0);
  return *json.value().Find("metrics");
}

double NumberAt(const JsonValue& metrics, const char* name) {
  const JsonValue* value = metrics.Find(name);
  return value ? value->number : -1;
}

class FashionTest : public testing::Test {
 protected:
  void SetUp() override {
    if (std::filesystem::exists("/usr/share/datasets/fashion-mnist")) return;
    GTEST_SKIP() << "the data set is not there: apt-get install dataset-fashion-mnist";
  }
};

TEST_F(FashionTest, SyncReachesItsAccuracyWithTheSameWeightsTwice) {
  const JsonValue first = Train("sync");
  EXPECT_GE(NumberAt(first, "accuracy"), kAccuracyMin);
  const JsonValue second = Train("sync");
  EXPECT_EQ(NumberAt(first, "weights_crc32"), NumberAt(second, "weights_crc32"));
  EXPECT_GE(NumberAt(first, "weights_crc32"), 0);
}

TEST_F(FashionTest, StaleReachesItsAccuracy) {
  EXPECT_GE(NumberAt(Train("stale"), "accuracy"), kAccuracyMin);
}

TEST_F(FashionTest, AsyncReachesItsAccuracy) {
  EXPECT_GE(NumberAt(Train("async"), "accuracy"), kAccuracyMin);
}

}  // namespace
}  // namespace shardmill
