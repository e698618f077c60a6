#include "bench/benchmark.h"

#include <gtest/gtest.h>

#include <set>

#include "bench/benchmarks.h"
#include "common/json/json.h"

namespace shardmill::bench {
namespace {

// Writes down whose turn it was.
class FakeSides final : public Sides {
 public:
  explicit FakeSides(std::string* turns) : turns_(turns) {}
  Result<double> Product() override {
    *turns_ += 'A';
    return 3.0;
  }
  Result<double> Baseline() override {
    *turns_ += 'B';
    return 2.0;
  }

 private:
  std::string* turns_;
};

Benchmark FakeBenchmark(std::string* turns) {
  return {"fake",
          "GB/s",
          "about it",
          Judge::kRatioAtLeast,
          1.4,
          [turns](const Programs&) -> Result<Prepared> {
            return Prepared{std::make_unique<FakeSides>(turns), ""};
          }};
}

Line LineOf(Judge judge, double target) {
  Line line;
  line.name = "one";
  line.judge = judge;
  line.target = target;
  return line;
}

TEST(BenchmarkTest, RunsBothSidesInTurnAndThrowsTheFirstOfEachAway) {
  std::string turns;
  const auto line = Measure(FakeBenchmark(&turns), {}, {.seconds = 0, .runs = 2});
  ASSERT_TRUE(line.ok());
  EXPECT_EQ(turns, "ABABAB");
  EXPECT_EQ(line.value().value, 3);
  EXPECT_EQ(line.value().baseline, 2);
  EXPECT_EQ(line.value().ratio, 1.5);
  EXPECT_TRUE(line.value().Holds());
}

TEST(BenchmarkTest, RunsFiveTimesAtLeastHoweverLittleTimeThereIs) {
  std::string turns;
  ASSERT_TRUE(Measure(FakeBenchmark(&turns), {}, {.seconds = 0, .runs = 0}).ok());
  EXPECT_EQ(turns, "ABABABABABAB");
}

TEST(BenchmarkTest, TakesTheRatioOfNeighboursSoThatASlowSpellOfTheMachineCancelsOut) {
  Line line = LineOf(Judge::kRatioAtLeast, 0.9);
  Summarize({10, 1, 10}, {10, 1, 10}, &line);
  EXPECT_EQ(line.ratio, 1);
  EXPECT_EQ(line.spread, 0);
}

TEST(BenchmarkTest, TurnsTheRatioRoundWhereTimesAreCompared) {
  Line line = LineOf(Judge::kTimesFaster, 1.7);
  Summarize({20, 20, 20}, {40, 40, 40}, &line);
  EXPECT_EQ(line.ratio, 2);
  EXPECT_TRUE(line.Holds());
}

TEST(BenchmarkTest, HoldsWhatIsJudgedAgainstItsTarget) {
  Line line = LineOf(Judge::kValueAtMost, 5);
  line.value = 5.1;
  line.ratio = 0.1;
  EXPECT_FALSE(line.Holds());
  line.judge = Judge::kRatioAtMost;
  EXPECT_TRUE(line.Holds());
  line.judge = Judge::kValueAtLeast;
  EXPECT_TRUE(line.Holds());
  line.judge = Judge::kRatioAtLeast;
  EXPECT_FALSE(line.Holds());
}

TEST(BenchmarkTest, WritesTheKeysThatReadersRelyOn) {
  Line line = LineOf(Judge::kRatioAtLeast, 0.9);
  Summarize({1, 1}, {2, 2}, &line);
  const auto json = ParseJson(ToJson({line}));
  ASSERT_TRUE(json.ok());
  ASSERT_EQ(json.value().items.size(), 1U);
  std::set<std::string> keys;
  for (const auto& [key, value] : json.value().items[0].members) keys.insert(key);
  EXPECT_EQ(keys, (std::set<std::string>{"name", "value", "baseline", "ratio", "target", "holds",
                                         "spread", "unit", "about"}));
  EXPECT_EQ(json.value().items[0].Find("ratio")->number, 0.5);
  EXPECT_FALSE(json.value().items[0].Find("holds")->flag);
}

TEST(BenchmarkTest, SaysWhatIsMissingAndLeavesItsNumbersOut) {
  Benchmark benchmark = FakeBenchmark(nullptr);
  benchmark.prepare = [](const Programs&) -> Result<Prepared> {
    return Prepared{nullptr, "no such library"};
  };
  const auto line = Measure(benchmark, {}, {});
  ASSERT_TRUE(line.ok());
  const auto json = ParseJson(ToJson({line.value()}));
  ASSERT_TRUE(json.ok());
  EXPECT_EQ(json.value().items[0].Find("value")->kind, JsonValue::Kind::kNull);
  EXPECT_EQ(json.value().items[0].Find("holds")->kind, JsonValue::Kind::kNull);
  EXPECT_NE(json.value().items[0].Find("about")->text.find("no such library"), std::string::npos);
  EXPECT_EQ(ToTable({line.value()})[1].back(), "skipped: no such library");
}

TEST(BenchmarkTest, GivesEachBenchmarkANameOfItsOwnAndWords) {
  std::set<std::string> names;
  for (const Benchmark& benchmark : AllBenchmarks()) {
    EXPECT_TRUE(names.insert(benchmark.name).second) << benchmark.name;
    EXPECT_NE(benchmark.about.find("baseline: "), std::string::npos) << benchmark.name;
    EXPECT_FALSE(benchmark.unit.empty()) << benchmark.name;
  }
  EXPECT_TRUE(names.contains("dense.tcp"));
}

}  // namespace
}  // namespace shardmill::bench
