#include "worker/local_steps.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

namespace shardmill {
namespace {

using Vectors = std::vector<std::vector<float>>;

std::vector<std::span<float>> Spans(Vectors& vectors) { return {vectors.begin(), vectors.end()}; }

TEST(LocalStepsTest, BoundsTheLengthOfAllGradientsTogether) {
  Vectors gradients{{3, 0}, {0, 4}};
  BoundLength(Spans(gradients), 10);
  EXPECT_EQ(gradients, (Vectors{{3, 0}, {0, 4}}));
  BoundLength(Spans(gradients), 1);
  EXPECT_FLOAT_EQ(gradients[0][0], 0.6F);
  EXPECT_FLOAT_EQ(gradients[1][1], 0.8F);
}

TEST(LocalStepsTest, CountsEachNumberOfALongGradientOnce) {
  for (const size_t size : {31, 32, 33, 100}) {
    Vectors gradients{std::vector<float>(size, 2), {1}};
    EXPECT_DOUBLE_EQ(LengthOf(Spans(gradients)), std::sqrt(4.0 * static_cast<double>(size) + 1));
  }
}

TEST(LocalStepsTest, LeavesWhatIsNoNumberToTheCheckThatComesAfter) {
  Vectors gradients{{NAN, 2}};
  BoundLength(Spans(gradients), 1);
  EXPECT_TRUE(std::isnan(gradients[0][0]));
  EXPECT_EQ(gradients[0][1], 2);
}

std::vector<ParameterSpec> SpecsOf(const Vectors& vectors) {
  std::vector<ParameterSpec> specs;
  for (const auto& numbers : vectors) {
    specs.push_back({.name = std::to_string(specs.size()), .size = numbers.size()});
  }
  return specs;
}

TEST(LocalStepsTest, FindsTheFirstGradientThatIsNoNumber) {
  Vectors gradients{{1, 2}, {3, INFINITY}, {NAN}};
  const auto steps = LocalSteps::Make({}, 1, SpecsOf(gradients)).value();
  EXPECT_EQ(steps->FirstNonfinite(Spans(gradients)), 1U);
  gradients[1][1] = 4;
  EXPECT_EQ(steps->FirstNonfinite(Spans(gradients)), 2U);
  gradients[2][0] = 5;
  EXPECT_EQ(steps->FirstNonfinite(Spans(gradients)), std::nullopt);
}

// An average is no direction.
TEST(LocalStepsTest, BoundsWhatIsTrainedAlone) {
  Vectors gradients{{3}, {4}, {12}};
  std::vector<ParameterSpec> specs = SpecsOf(gradients);
  specs[2].trained = false;
  const auto steps = LocalSteps::Make({}, 1, specs).value();
  EXPECT_DOUBLE_EQ(steps->Length(Spans(gradients)), 13);
  steps->Bound(Spans(gradients), 2.5);
  EXPECT_EQ(gradients, (Vectors{{1.5}, {2}, {12}}));
}

TEST(LocalStepsTest, KeepsTheStateOfEachParameterBetweenSteps) {
  UpdateSettings settings;
  settings.rule = UpdateRule::kMomentum;
  settings.momentum = 0.5;
  settings.rate.base = 1;
  Vectors parameters{{0}, {0, 0}};
  auto made = LocalSteps::Make(settings, 1, SpecsOf(parameters));
  ASSERT_TRUE(made.ok());
  for (uint64_t round = 1; round <= 2; ++round) {
    Vectors gradients{{1}, {2, 4}};
    made.value()->Step(round, Spans(gradients), Spans(parameters));
  }
  EXPECT_EQ(parameters, (Vectors{{-2.5}, {-5, -10}}));
}

TEST(LocalStepsTest, StepsAParameterByTheRuleThatItHas) {
  UpdateSettings settings;
  settings.rule = UpdateRule::kMomentum;
  settings.momentum = 0.5;
  settings.rate.base = 1;
  UpdateSettings plain;
  plain.rate.base = 0.25;
  const std::vector<ParameterSpec> specs{{.name = "a", .size = 1},
                                         {.name = "b", .size = 1, .update = plain}};
  auto made = LocalSteps::Make(settings, 1, specs);
  ASSERT_TRUE(made.ok());
  Vectors parameters{{0}, {0}};
  for (uint64_t round = 1; round <= 2; ++round) {
    Vectors gradients{{1}, {1}};
    made.value()->Step(round, Spans(gradients), Spans(parameters));
  }
  EXPECT_EQ(parameters, (Vectors{{-2.5}, {-0.5}}));
}

TEST(LocalStepsTest, MovesTheRateWithTheRoundAndTheWorkers) {
  UpdateSettings settings;
  settings.rate.base = 1;
  settings.rate.warmup = 4;
  settings.rate.scale_by_workers = true;
  Vectors parameters{{0}};
  auto made = LocalSteps::Make(settings, 2, SpecsOf(parameters));
  ASSERT_TRUE(made.ok());
  Vectors gradients{{1}};
  made.value()->Step(1, Spans(gradients), Spans(parameters));
  EXPECT_EQ(parameters[0][0], -0.5F);
}

TEST(LocalStepsTest, RefusesSettingsThatCannotBe) {
  UpdateSettings settings;
  settings.rate.base = -1;
  EXPECT_FALSE(LocalSteps::Make(settings, 1, SpecsOf({{0}})).ok());
}

}  // namespace
}  // namespace shardmill
