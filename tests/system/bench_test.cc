// `shardmill bench` with real processes: that it measures, not how fast.
#include <gtest/gtest.h>

#include <chrono>
#include <string>

#include "common/json/json.h"
#include "tests/system/launch.h"

namespace shardmill {
namespace {

constexpr std::chrono::minutes kPatience{4};

ExitStatus RunBench(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "bench");
  const auto bench = Launch("bench", "cli/shardmill", std::move(arguments));
  return bench->Wait(kPatience).value_or(ExitStatus{-1, 0});
}

TEST(BenchTest, MeasuresTheProductBesideItsBaselineAndPrintsJson) {
  ASSERT_TRUE(RunBench({"latency.tcp", "--runs", "1", "--json"}).ok()) << OutputOf("bench");
  const auto json = ParseJson(LastLineOf("bench"));
  ASSERT_TRUE(json.ok()) << OutputOf("bench");
  ASSERT_EQ(json.value().items.size(), 2U);  // And with keys.
  const JsonValue& line = json.value().items[0];
  EXPECT_EQ(line.Find("name")->text, "latency.tcp");
  for (const char* key : {"value", "baseline", "ratio"}) EXPECT_GT(line.Find(key)->number, 0);
  EXPECT_EQ(line.Find("target")->number, 1.2);
  EXPECT_EQ(line.Find("holds")->kind, JsonValue::Kind::kFlag);
  EXPECT_EQ(line.Find("spread")->number, 0);  // Of a single run.
  const JsonValue& curve = json.value().items[1];
  EXPECT_EQ(curve.Find("name")->text, "latency.tcp.curve");
  EXPECT_GT(curve.Find("value")->number, 0);
}

TEST(BenchTest, MeasuresANetworkBesideTorchOrSaysWhatIsMissing) {
  ASSERT_TRUE(RunBench({"nn.lstm", "--runs", "1", "--json"}).ok()) << OutputOf("bench");
  const auto json = ParseJson(LastLineOf("bench"));
  ASSERT_TRUE(json.ok()) << OutputOf("bench");
  ASSERT_EQ(json.value().items.size(), 1U);
  const JsonValue& line = json.value().items[0];
  const std::string& about = line.Find("about")->text;
  if (line.Find("value")->kind == JsonValue::Kind::kNull) {
    EXPECT_NE(about.find("; skipped: torch "), std::string::npos) << about;
    return;
  }
  for (const char* key : {"value", "baseline", "ratio"}) EXPECT_GT(line.Find(key)->number, 0);
  EXPECT_NE(about.find("; torch multiplies with "), std::string::npos) << about;
}

TEST(BenchTest, MeasuresWhatCopiesOfAStepCost) {
  ASSERT_TRUE(RunBench({"replicas.1.latency", "logs.latency", "--runs", "7", "--json"}).ok())
      << OutputOf("bench");
  const auto json = ParseJson(LastLineOf("bench"));
  ASSERT_TRUE(json.ok()) << OutputOf("bench");
  ASSERT_EQ(json.value().items.size(), 2U);
  for (const JsonValue& line : json.value().items) {
    EXPECT_GT(line.Find("ratio")->number, 1)
        << line.Find("name")->text;  // One more hop, or a sync.
  }
}

TEST(BenchTest, NamesTheBenchmarkThatIsNotThere) {
  const ExitStatus status = RunBench({"latency.tpc"});
  EXPECT_EQ(status.code, 2);
  EXPECT_NE(OutputOf("bench").find("did you mean \"latency.tcp\"?"), std::string::npos);
}

}  // namespace
}  // namespace shardmill
