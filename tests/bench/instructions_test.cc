// The hot paths take no more instructions than the baseline in the tree says.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "bench/callgrind.h"

namespace shardmill::bench {
namespace {

TEST(InstructionsTest, NoHotPathTakesMoreThanItDid) {
  const auto counts = CountInstructions(
      std::filesystem::current_path().string() + "/bench/shardmill-bench-peer", testing::TempDir());
  if (!counts.ok() && counts.error().code == ErrorCode::kUnavailable) {
    GTEST_SKIP() << counts.error().message;
  }
  ASSERT_TRUE(counts.ok()) << counts.error().message;
  std::ostringstream text;
  text << std::ifstream("bench/baseline.json").rdbuf();
  const auto baseline = ParseCounts(text.str());
  ASSERT_TRUE(baseline.ok()) << baseline.error().message;
  for (const Line& line : CompareCounts(counts.value(), baseline.value())) {
    EXPECT_EQ(line.skipped, "") << line.name;
    EXPECT_TRUE(line.Holds()) << line.name << " takes " << line.value << " instructions, "
                              << line.ratio << " times as many as before; where that is meant: "
                              << "shardmill bench --check --update";
  }
}

}  // namespace
}  // namespace shardmill::bench
