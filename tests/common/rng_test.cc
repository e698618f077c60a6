#include "common/rng.h"

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <set>

namespace shardmill {
namespace {

// The published sequence of SplitMix64 from seed 1234567: the same on every machine, forever.
TEST(RngTest, GivesTheKnownSequenceOfItsSeed) {
  constexpr std::array<uint64_t, 5> kKnown = {6457827717110365317ULL, 3203168211198807973ULL,
                                              9817491932198370423ULL, 4593380528125082431ULL,
                                              16408922859458223821ULL};
  Rng rng(1234567);
  for (const uint64_t known : kKnown) EXPECT_EQ(rng.Next(), known);
}

TEST(RngTest, StaysBelowItsBoundAndReachesEveryNumber) {
  Rng rng(1);
  std::set<uint64_t> seen;
  for (int i = 0; i < 1000; ++i) seen.insert(rng.Below(7));
  EXPECT_EQ(seen, (std::set<uint64_t>{0, 1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(rng.Below(1), 0U);
}

TEST(RngTest, SpreadsEvenlyOverAnIntervalThatDividesNothing) {
  Rng rng(2);
  constexpr int kDraws = 60'000;
  std::array<int, 6> counts{};
  for (int i = 0; i < kDraws; ++i) ++counts[rng.Below(counts.size())];
  // Five standard deviations of a count are about 456.
  for (const int count : counts) EXPECT_NEAR(count, kDraws / 6, 456);
}

TEST(RngTest, IsUniformBetweenZeroAndOne) {
  Rng rng(3);
  double sum = 0;
  for (int i = 0; i < 10'000; ++i) {
    const double x = rng.Uniform();
    ASSERT_GE(x, 0.0);
    ASSERT_LT(x, 1.0);
    sum += x;
  }
  // Five standard deviations of the mean are 0.0144.
  EXPECT_NEAR(sum / 10'000, 0.5, 0.0144);
}

TEST(RngTest, TakesNoChanceAtZeroAndEveryChanceAtOne) {
  Rng rng(4);
  for (int i = 0; i < 100; ++i) {
    EXPECT_FALSE(rng.Chance(0.0));
    EXPECT_TRUE(rng.Chance(1.0));
  }
}

TEST(RngTest, MixesNeighboursApart) {
  constexpr int kInputs = 64;
  int bits_changed = 0;
  for (uint64_t i = 0; i < kInputs; ++i) bits_changed += __builtin_popcountll(Mix(i) ^ Mix(i + 1));
  EXPECT_NEAR(static_cast<double>(bits_changed) / kInputs, 32.0, 2.5);
}

}  // namespace
}  // namespace shardmill
