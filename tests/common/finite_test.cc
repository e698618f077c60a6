#include "common/finite.h"

#include <gtest/gtest.h>

#include <limits>
#include <vector>

namespace shardmill {
namespace {

using Limits = std::numeric_limits<float>;

// Sizes that fill a vector register or a block, and those that leave a rest.
constexpr size_t kSizes[] = {1, 7, 8, 9, 64, 1001, 2048, 4109};

TEST(FiniteTest, TakesEveryNumberThereIs) {
  EXPECT_TRUE(AllNumbers({}));
  const std::vector<float> numbers = {0.0F,
                                      -0.0F,
                                      1.5F,
                                      -1.5F,
                                      Limits::max(),
                                      Limits::lowest(),
                                      Limits::min(),
                                      Limits::denorm_min(),
                                      -Limits::denorm_min()};
  EXPECT_TRUE(AllNumbers(numbers));
  EXPECT_TRUE(AllNumbers(numbers, true));
}

TEST(FiniteTest, FindsOneNanAtAnyPlace) {
  for (const float nan : {Limits::quiet_NaN(), -Limits::quiet_NaN(), Limits::signaling_NaN()}) {
    for (const size_t size : kSizes) {
      std::vector<float> values(size, 1.0F);
      for (size_t at = 0; at < size; ++at) {
        values[at] = nan;
        ASSERT_FALSE(AllNumbers(values)) << at << " of " << size;
        ASSERT_FALSE(AllNumbers(values, true)) << at << " of " << size;
        values[at] = 1;
      }
    }
  }
}

TEST(FiniteTest, FindsOneInfinityAtAnyPlaceUnlessItMayBeThere) {
  for (const float infinity : {Limits::infinity(), -Limits::infinity()}) {
    for (const size_t size : kSizes) {
      std::vector<float> values(size, 1.0F);
      for (size_t at = 0; at < size; ++at) {
        values[at] = infinity;
        ASSERT_FALSE(AllNumbers(values)) << at << " of " << size;
        ASSERT_TRUE(AllNumbers(values, true)) << at << " of " << size;
        values[at] = 1;
      }
    }
  }
}

TEST(FiniteTest, FindsANanAmongInfinitiesThatMayBeThere) {
  EXPECT_FALSE(AllNumbers(std::vector<float>{Limits::infinity(), Limits::quiet_NaN()}, true));
}

}  // namespace
}  // namespace shardmill
