#include "nn/step_plan.h"

#include <gtest/gtest.h>

namespace shardmill::nn {
namespace {

TEST(StepPlanTest, LaysTensorsOverEachOtherWhoseTimesDoNotMeet) {
  StepPlan plan;
  const size_t first = plan.Add(0, 16, 0, 1);
  const size_t second = plan.Add(0, 16, 1, 2);
  const size_t third = plan.Add(0, 16, 2, 3);
  EXPECT_EQ(plan.Place(2), 64U);
  EXPECT_EQ(plan.offset(first), plan.offset(third));
  EXPECT_NE(plan.offset(first), plan.offset(second));
}

TEST(StepPlanTest, KeepsATensorApartForAsLongAsItIsRead) {
  StepPlan plan;
  const size_t first = plan.Add(0, 16, 0, 1);
  const size_t second = plan.Add(0, 16, 2, 3);
  plan.Extend(first, 3);
  EXPECT_EQ(plan.Place(1), 32U);
  EXPECT_NE(plan.offset(first), plan.offset(second));
}

TEST(StepPlanTest, CountsWholeCacheLines) {
  StepPlan plan;
  static_cast<void>(plan.Add(3, 0, 0, 1));
  const size_t second = plan.Add(1, 8, 0, 1);
  EXPECT_EQ(plan.Place(3), 48U);
  EXPECT_EQ(plan.offset(second), 16U);
  EXPECT_EQ(plan.rows(), 3U);
}

TEST(StepPlanTest, FillsGapsBetweenThoseThatStay) {
  StepPlan plan;
  static_cast<void>(plan.Add(16, 0, 0, 9));
  const size_t gap = plan.Add(16, 0, 0, 1);
  static_cast<void>(plan.Add(16, 0, 0, 9));
  const size_t late = plan.Add(16, 0, 2, 9);
  EXPECT_EQ(plan.Place(1), 48U);
  EXPECT_EQ(plan.offset(late), plan.offset(gap));
}

}  // namespace
}  // namespace shardmill::nn
