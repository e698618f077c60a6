#include "optim/rate.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <vector>

namespace shardmill {
namespace {

constexpr double kNear = 1e-12;

// The rates of rounds 1, 2, ... against numbers worked out by hand.
void ExpectRates(const RateSchedule& schedule, const std::vector<double>& rates) {
  for (uint64_t round = 1; round <= rates.size(); ++round) {
    EXPECT_NEAR(RateAt(schedule, round, 3), rates[round - 1], kNear) << "in round " << round;
  }
}

TEST(RateTest, StaysWhereItIsWhenConstant) {
  const RateSchedule schedule{.base = 0.25};
  ExpectRates(schedule, {0.25, 0.25, 0.25});
  EXPECT_EQ(RateAt(schedule, 1'000'000'000'000, 3), 0.25);
}

TEST(RateTest, DropsByItsFactorAfterEachLength) {
  const RateSchedule schedule{.shape = RateShape::kStep, .base = 0.8, .length = 3, .factor = 0.5};
  ExpectRates(schedule, {0.8, 0.8, 0.8, 0.4, 0.4, 0.4, 0.2, 0.2, 0.2, 0.1});
}

TEST(RateTest, FallsInAStraightLineAtPowerOneAndStaysAtItsEnd) {
  const RateSchedule schedule{
      .shape = RateShape::kPolynomial, .base = 1, .length = 4, .power = 1, .end = 0.2};
  ExpectRates(schedule, {1, 0.8, 0.6, 0.4, 0.2, 0.2, 0.2});
}

TEST(RateTest, FallsFasterAtFirstAtAHigherPower) {
  const RateSchedule schedule{
      .shape = RateShape::kPolynomial, .base = 1, .length = 4, .power = 2, .end = 0.2};
  ExpectRates(schedule, {1, 0.65, 0.4, 0.25, 0.2, 0.2});
}

TEST(RateTest, FallsAlongHalfACosineAndStaysAtItsEnd) {
  const RateSchedule to_zero{.shape = RateShape::kCosine, .base = 1, .length = 4};
  // (1 + cos 45 degrees) / 2, and the same of 135.
  ExpectRates(to_zero, {1, 0.853553390593274, 0.5, 0.146446609406726, 0, 0});
  const RateSchedule to_end{.shape = RateShape::kCosine, .base = 1, .length = 2, .end = 0.2};
  ExpectRates(to_end, {1, 0.6, 0.2, 0.2});
}

TEST(RateTest, MayGrowTowardsAnEndAboveItsBase) {
  const RateSchedule schedule{
      .shape = RateShape::kPolynomial, .base = 0.1, .length = 2, .power = 1, .end = 0.5};
  ExpectRates(schedule, {0.1, 0.3, 0.5, 0.5});
}

TEST(RateTest, WarmsUpEvenlyAndReachesItsBaseInTheLastRoundOfIt) {
  const RateSchedule schedule{.base = 0.8, .warmup = 4};
  ExpectRates(schedule, {0.2, 0.4, 0.6, 0.8, 0.8, 0.8});
}

TEST(RateTest, BeginsItsShapeOnceItIsWarm) {
  RateSchedule schedule{.base = 1, .warmup = 2, .length = 2, .factor = 0.1, .end = 0};
  schedule.shape = RateShape::kStep;
  ExpectRates(schedule, {0.5, 1, 1, 1, 0.1, 0.1, 0.01});
  schedule.shape = RateShape::kPolynomial;
  ExpectRates(schedule, {0.5, 1, 1, 0.5, 0, 0});
  schedule.shape = RateShape::kCosine;
  ExpectRates(schedule, {0.5, 1, 1, 0.5, 0, 0});
}

TEST(RateTest, GrowsWithTheMembersInEveryShapeWhereItIsAskedTo) {
  RateSchedule schedule{.base = 0.8, .warmup = 2, .length = 4, .power = 1, .end = 0.2};
  for (const RateShape shape :
       {RateShape::kConstant, RateShape::kStep, RateShape::kPolynomial, RateShape::kCosine}) {
    schedule.shape = shape;
    for (const uint64_t round : {1, 2, 3, 5, 40}) {
      schedule.scale_by_workers = false;
      const double alone = RateAt(schedule, round, 1);
      EXPECT_EQ(RateAt(schedule, round, 4), alone);
      schedule.scale_by_workers = true;
      EXPECT_EQ(RateAt(schedule, round, 1), alone);
      EXPECT_NEAR(RateAt(schedule, round, 4), 4 * alone, kNear);
    }
  }
}

TEST(RateTest, HasNothingToSayAboutAScheduleThatCanBe) {
  EXPECT_EQ(RateProblem(RateSchedule{}), "");
  EXPECT_EQ(RateProblem({.shape = RateShape::kPolynomial, .base = 3, .power = 0, .end = 5}), "");
}

TEST(RateTest, SaysWhatIsWrongWithAScheduleThatCannotBe) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const double infinity = std::numeric_limits<double>::infinity();
  for (const double bad : {0.0, -0.1, nan, infinity}) {
    EXPECT_NE(RateProblem({.base = bad}), "") << bad;
  }
  EXPECT_NE(RateProblem({.length = 0}), "");
  for (const double bad : {-0.1, nan, infinity, -infinity}) {
    EXPECT_NE(RateProblem({.factor = bad}), "") << bad;
    EXPECT_NE(RateProblem({.power = bad}), "") << bad;
    EXPECT_NE(RateProblem({.end = bad}), "") << bad;
  }
}

}  // namespace
}  // namespace shardmill
