#include "bench/statistics.h"

#include <gtest/gtest.h>

#include <cmath>

namespace shardmill::bench {
namespace {

TEST(StatisticsTest, MedianLiesInTheMiddleOfWhatWasMeasured) {
  EXPECT_EQ(Median({3, 1, 2}), 2);
  EXPECT_EQ(Median({4, 1, 2, 3}), 2.5);
  EXPECT_EQ(Median({7}), 7);
  EXPECT_TRUE(std::isnan(Median({})));
}

TEST(StatisticsTest, QuantilesLieBetweenNeighbours) {
  EXPECT_EQ(Quantile({10, 0, 20, 30, 40}, 0.25), 10);
  EXPECT_EQ(Quantile({0, 1}, 0.25), 0.25);
  EXPECT_EQ(Quantile({0, 1, 2}, 1), 2);
}

TEST(StatisticsTest, SpreadIsTheMiddleHalfRelativeToTheMedianAndForgivesOutliers) {
  EXPECT_EQ(Spread({5, 5, 5}), 0);
  EXPECT_EQ(Spread({8, 9, 10, 11, 12}), 0.2);
  EXPECT_EQ(Spread({8, 9, 10, 11, 12'000}), 0.2);
}

}  // namespace
}  // namespace shardmill::bench
