#include "common/combine.h"

#include <gtest/gtest.h>

#include <limits>
#include <vector>

namespace shardmill {
namespace {

// What two pushes to five elements become, the first with the weight 2 and the second with 0.5.
std::vector<float> Combined(Combine combine) {
  std::vector<float> sum(5, std::numeric_limits<float>::quiet_NaN());
  CombineInto(combine, true, 2, std::vector<float>{1, -1, 0, 3, 8}, sum);
  CombineInto(combine, false, 0.5F, std::vector<float>{4, -4, 2, 3, -8}, sum);
  return sum;
}

TEST(CombineTest, CombinesInEachModeAndNeverReadsWhatTheFirstPushReplaces) {
  EXPECT_EQ(Combined(Combine::kWeightedSum), (std::vector<float>{4, -4, 1, 7.5F, 12}));
  EXPECT_EQ(Combined(Combine::kSum), (std::vector<float>{5, -5, 2, 6, 0}));
  EXPECT_EQ(Combined(Combine::kLast), (std::vector<float>{4, -4, 2, 3, -8}));
  EXPECT_EQ(Combined(Combine::kMin), (std::vector<float>{1, -4, 0, 3, -8}));
  EXPECT_EQ(Combined(Combine::kMax), (std::vector<float>{4, -1, 2, 3, 8}));
}

}  // namespace
}  // namespace shardmill
