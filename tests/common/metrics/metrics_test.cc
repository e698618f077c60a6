#include "common/metrics/metrics.h"

#include <gtest/gtest.h>

#include <limits>
#include <thread>

namespace shardmill {
namespace {

TEST(RegistryTest, RendersEachNameOnceWithItsHelpAndType) {
  Registry registry;
  Counter& zero = registry.AddCounter("shardmill_units_total", "Units taken.", {{"shard", "0"}});
  Gauge& held = registry.AddGauge("shardmill_held_bytes", "Gradient held.");
  Counter& one = registry.AddCounter("shardmill_units_total", "Units taken.", {{"shard", "1"}});
  zero.Add();
  one.Add(41);
  one.Add();
  held.Set(0.25);
  EXPECT_EQ(registry.Render(),
            "# HELP shardmill_units_total Units taken.\n"
            "# TYPE shardmill_units_total counter\n"
            "shardmill_units_total{shard=\"0\"} 1\n"
            "shardmill_units_total{shard=\"1\"} 42\n"
            "# HELP shardmill_held_bytes Gradient held.\n"
            "# TYPE shardmill_held_bytes gauge\n"
            "shardmill_held_bytes 0.25\n");
}

TEST(RegistryTest, RendersTimesInSeconds) {
  Registry registry;
  TimeSpent& time = registry.AddTimeSpent("shardmill_wait_seconds_total", "Time spent waiting.");
  time.Add(std::chrono::milliseconds(1250));
  time.Add(std::chrono::milliseconds(-5));
  EXPECT_EQ(registry.Render(),
            "# HELP shardmill_wait_seconds_total Time spent waiting.\n"
            "# TYPE shardmill_wait_seconds_total counter\n"
            "shardmill_wait_seconds_total 1.25\n");
}

TEST(RegistryTest, RendersAHistogramWithWhatIsBelowEachLimit) {
  Registry registry;
  Histogram& took = registry.AddHistogram("shardmill_sync_seconds", "Syncs.", {{"shard", "3"}});
  for (const int ms : {10, 20, 20'000}) took.Observe(std::chrono::milliseconds(ms));
  const std::string text = registry.Render();
  EXPECT_NE(text.find("# TYPE shardmill_sync_seconds histogram\n"), std::string::npos);
  EXPECT_NE(text.find("shardmill_sync_seconds_bucket{shard=\"3\",le=\"0.003\"} 0\n"
                      "shardmill_sync_seconds_bucket{shard=\"3\",le=\"0.01\"} 1\n"
                      "shardmill_sync_seconds_bucket{shard=\"3\",le=\"0.03\"} 2\n"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("shardmill_sync_seconds_bucket{shard=\"3\",le=\"10\"} 2\n"
                      "shardmill_sync_seconds_bucket{shard=\"3\",le=\"+Inf\"} 3\n"
                      "shardmill_sync_seconds_sum{shard=\"3\"} 20.03\n"
                      "shardmill_sync_seconds_count{shard=\"3\"} 3\n"),
            std::string::npos)
      << text;
}

TEST(RegistryTest, EscapesHelpAndLabels) {
  Registry registry;
  registry.AddGauge("shardmill_up", "A \"b\" \\ c\nd", {{"name", "a\"b\\c\nd"}, {"x", ""}});
  EXPECT_EQ(registry.Render(),
            "# HELP shardmill_up A \"b\" \\\\ c\\nd\n"
            "# TYPE shardmill_up gauge\n"
            "shardmill_up{name=\"a\\\"b\\\\c\\nd\",x=\"\"} 0\n");
}

TEST(RegistryTest, RendersNumbersThatAreNotFinite) {
  Registry registry;
  Gauge& gauge = registry.AddGauge("shardmill_loss", "Loss.");
  gauge.Set(std::numeric_limits<double>::infinity());
  EXPECT_NE(registry.Render().find("shardmill_loss +Inf\n"), std::string::npos);
  gauge.Set(std::numeric_limits<double>::quiet_NaN());
  EXPECT_NE(registry.Render().find("shardmill_loss NaN\n"), std::string::npos);
}

TEST(RegistryTest, CountsFromSeveralThreadsWhileItRenders) {
  Registry registry;
  Counter& counter = registry.AddCounter("shardmill_steps_total", "Steps.");
  const auto count = [&] {
    for (int i = 0; i < 1000; ++i) counter.Add();
  };
  std::thread first(count);
  std::thread second(count);
  EXPECT_NE(registry.Render().find("shardmill_steps_total "), std::string::npos);
  first.join();
  second.join();
  EXPECT_EQ(counter.value(), 2000U);
}

TEST(RegistryTest, RendersNothingOfWhatIsRemovedAndTakesItAnew) {
  Registry registry;
  registry.AddGauge("shardmill_up", "Up.", {{"shard", "1"}}).Set(1);
  registry.AddCounter("shardmill_units_total", "Units.", {{"shard", "0"}, {"via", "tcp"}}).Add();
  registry.AddCounter("shardmill_units_total", "Units.", {{"shard", "1"}, {"via", "tcp"}}).Add();
  registry.Remove({"shard", "1"});
  EXPECT_EQ(registry.Render(),
            "# HELP shardmill_units_total Units.\n"
            "# TYPE shardmill_units_total counter\n"
            "shardmill_units_total{shard=\"0\",via=\"tcp\"} 1\n");
  EXPECT_EQ(registry.AddGauge("shardmill_up", "Up.", {{"shard", "1"}}).value(), 0);
}

TEST(RegistryDeathTest, RefusesNamesThatBreakTheRules) {
  Registry registry;
  EXPECT_DEATH(registry.AddCounter("shardmill_units", "Units."), "Fits");
  EXPECT_DEATH(registry.AddTimeSpent("shardmill_wait_total", "Waits."), "Fits");
  EXPECT_DEATH(registry.AddHistogram("shardmill_sync", "Syncs."), "Fits");
  EXPECT_DEATH(registry.AddGauge("units", "Units."), "kPrefix");
  registry.AddGauge("shardmill_up", "Up.");
  EXPECT_DEATH(registry.AddGauge("shardmill_up", "Up."), "labels");
}

}  // namespace
}  // namespace shardmill
