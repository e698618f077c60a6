// Keys of the job file, each with a job on which it shows (tests/common/job/key_coverage.txt).
#include <gtest/gtest.h>

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

TEST(KeysTest, ClusterSizesAreWhatRuns) {
  const JsonValue result =
      TrainWith({"cluster.servers=2", "cluster.shards_per_server=3", "cluster.workers=4"});
  EXPECT_EQ(At(result, "shards"), 6);
  EXPECT_EQ(At(result, "workers"), 4);
}

TEST(KeysTest, LearningRateChangesTheWeights) {
  EXPECT_NE(Checksum(TrainWith({})), Checksum(TrainWith({"optimizer.learning_rate=0.01"})));
}

TEST(KeysTest, BatchSizeAndEpochsMakeTheSteps) {
  EXPECT_EQ(At(TrainWith({"data.batch_size=50", "train.epochs=3"}), "steps"), 3 * 20);
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

}  // namespace
}  // namespace shardmill
