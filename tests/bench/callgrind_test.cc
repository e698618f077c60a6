#include "bench/callgrind.h"

#include <gtest/gtest.h>

namespace shardmill::bench {
namespace {

TEST(CallgrindTest, ReadsTheTotalOfADump) {
  const auto total =
      ReadDump("# callgrind format\nevents: Ir\nsummary: 7\n\nfn=x\n1 7\ntotals: 12\n");
  ASSERT_TRUE(total.ok());
  EXPECT_EQ(total.value(), 12);
  EXPECT_FALSE(ReadDump("events: Ir\n").ok());
  EXPECT_FALSE(ReadDump("\ntotals: 0\n").ok());
}

TEST(CallgrindTest, ReadsBackTheBaselineThatItWrites) {
  const InstructionCounts counts{{"a.b", 12}, {"c", 3'000'000'000}};
  const auto read = ParseCounts(FormatCounts(counts));
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read.value(), counts);
  EXPECT_FALSE(ParseCounts("{\"a\": \"many\"}").ok());
}

TEST(CallgrindTest, HoldsWhereNoPathTakesMoreThanAFewPercentMore) {
  const std::vector<Line> lines = CompareCounts({{"less", 50}, {"more", 104}, {"same", 102}},
                                                {{"less", 100}, {"more", 100}, {"same", 100}});
  ASSERT_EQ(lines.size(), 3U);
  EXPECT_TRUE(lines[0].Holds());
  EXPECT_FALSE(lines[1].Holds());
  EXPECT_TRUE(lines[2].Holds());
}

TEST(CallgrindTest, SaysWhatStandsOnOneSideAlone) {
  const std::vector<Line> lines = CompareCounts({{"new", 5}}, {{"gone", 5}});
  ASSERT_EQ(lines.size(), 2U);
  EXPECT_NE(lines[0].skipped.find("does not have it"), std::string::npos);
  EXPECT_NE(lines[1].skipped.find("nothing runs it"), std::string::npos);
}

}  // namespace
}  // namespace shardmill::bench
