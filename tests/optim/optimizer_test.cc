#include "optim/optimizer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "common/combine.h"
#include "common/result.h"
#include "common/rng.h"
#include "common/update.h"

namespace shardmill {
namespace {

constexpr size_t kElements = 36;
constexpr uint64_t kSteps = 1000;
// Of the element, or of 0.1 where the element is nearer to zero: a thousand roundings of a float.
constexpr double kTolerance = 1e-4;

// One parameter and what a rule keeps of it, in double.
struct Element {
  double p = 0;
  double a = 0;
  double b = 0;
};

double Sign(double x) { return static_cast<double>((x > 0) - (x < 0)); }

// Follow-the-regularized-leader with rates per coordinate, as McMahan and others (2013, algorithm
// 1) write it: the parameter comes from z and n; a is z, b is n.
void FtrlStep(const UpdateSettings& s, double alpha, double g, Element& e) {
  const double sigma = (std::sqrt(e.b + g * g) - std::sqrt(e.b)) / alpha;
  e.a += g - sigma * e.p;
  e.b += g * g;
  e.p = std::abs(e.a) <= s.l1
            ? 0
            : -(e.a - Sign(e.a) * s.l1) / ((s.beta + std::sqrt(e.b)) / alpha + s.l2);
}

// A step of the rules as PyTorch documents them, on one element: what it calls weight_decay in all
// but AdamW is l2 here, and in AdamW weight_decay. Clipping comes first, as by its
// clip_grad_value_.
void ReferenceStep(const UpdateSettings& s, double rate, uint64_t count, double g, Element& e) {
  if (s.clip_value > 0) g = std::min(std::max(g, -s.clip_value), s.clip_value);
  if (s.rule == UpdateRule::kFtrl) return FtrlStep(s, rate, g, e);
  g += s.l2 * e.p + s.l1 * Sign(e.p);
  e.p -= rate * s.weight_decay * e.p;
  switch (s.rule) {
    case UpdateRule::kSgd:
      e.p -= rate * g;
      return;
    case UpdateRule::kMomentum:
      e.a = s.momentum * e.a + g;
      e.p -= rate * e.a;
      return;
    case UpdateRule::kNesterov:
      e.a = s.momentum * e.a + g;
      e.p -= rate * (g + s.momentum * e.a);
      return;
    case UpdateRule::kAdagrad:
      e.a += g * g;
      e.p -= rate * g / (std::sqrt(e.a) + s.epsilon);
      return;
    case UpdateRule::kRmsprop:
      e.a = s.beta2 * e.a + (1 - s.beta2) * g * g;
      e.p -= rate * g / (std::sqrt(e.a) + s.epsilon);
      return;
    case UpdateRule::kAdam: {
      const double steps = static_cast<double>(count);
      e.a = s.beta1 * e.a + (1 - s.beta1) * g;
      e.b = s.beta2 * e.b + (1 - s.beta2) * g * g;
      const double mean = e.a / (1 - std::pow(s.beta1, steps));
      const double square = e.b / (1 - std::pow(s.beta2, steps));
      e.p -= rate * mean / (std::sqrt(square) + s.epsilon);
      return;
    }
    default:
      FAIL() << "no reference for this rule";
  }
}

std::unique_ptr<Optimizer> Made(const UpdateSettings& settings) {
  Result<std::unique_ptr<Optimizer>> optimizer = MakeOptimizer(settings);
  return optimizer.ok() ? std::move(optimizer).value() : nullptr;
}

// A thousand steps of random gradients that lean to one side by an eighth more in every element;
// the rate falls to a third on the way, except where the published rule has but one.
void ExpectPublishedSteps(const UpdateSettings& settings, double base) {
  const std::unique_ptr<Optimizer> optimizer = Made(settings);
  ASSERT_NE(optimizer, nullptr);
  const bool ftrl = settings.rule == UpdateRule::kFtrl;
  Rng rng(20'000 + static_cast<uint64_t>(settings.rule));
  std::vector<float> parameters(kElements), change(kElements);
  std::vector<float> state(optimizer->slots() * kElements);
  std::vector<Element> expected(kElements);
  for (size_t i = 0; i < kElements; ++i) {
    parameters[i] = ftrl ? 0 : static_cast<float>(4 * rng.Uniform() - 2);
    expected[i].p = parameters[i];
  }
  for (uint64_t count = 1; count <= kSteps; ++count) {
    const double fall = ftrl ? 1 : 1 + 2 * static_cast<double>(count) / kSteps;
    const auto rate = static_cast<float>(base / fall);
    for (size_t i = 0; i < kElements; ++i) {
      const double lean = (static_cast<double>(i) - kElements / 2.0) / 8;
      change[i] = static_cast<float>(2 * rng.Uniform() - 1 + 0.25 * lean);
      ReferenceStep(settings, rate, count, change[i], expected[i]);
    }
    optimizer->Step({rate, count}, change, parameters, {state.data(), kElements});
    for (size_t i = 0; i < kElements; ++i) {
      const double p = expected[i].p;
      ASSERT_NEAR(parameters[i], p, kTolerance * std::max(std::abs(p), 0.1))
          << "of element " << i << " after step " << count;
    }
  }
}

TEST(OptimizerTest, StepsAsPlainGradientDescentIsPublished) {
  ExpectPublishedSteps({.rule = UpdateRule::kSgd, .rate = {}}, 0.01);
}

TEST(OptimizerTest, StepsAsMomentumIsPublished) {
  ExpectPublishedSteps({.rule = UpdateRule::kMomentum, .rate = {}, .momentum = 0.8}, 0.01);
}

TEST(OptimizerTest, StepsAsNesterovIsPublished) {
  ExpectPublishedSteps({.rule = UpdateRule::kNesterov, .rate = {}, .momentum = 0.8}, 0.01);
}

// The epsilons are large enough that their place in the formula shows.
TEST(OptimizerTest, StepsAsAdagradIsPublished) {
  ExpectPublishedSteps({.rule = UpdateRule::kAdagrad, .rate = {}, .epsilon = 0.05}, 0.1);
}

TEST(OptimizerTest, StepsAsRmspropIsPublished) {
  ExpectPublishedSteps({.rule = UpdateRule::kRmsprop, .rate = {}, .beta2 = 0.99, .epsilon = 0.05},
                       0.01);
}

TEST(OptimizerTest, StepsAsAdamIsPublished) {
  ExpectPublishedSteps({.rule = UpdateRule::kAdam, .rate = {}, .epsilon = 0.05}, 0.01);
  ExpectPublishedSteps({.rule = UpdateRule::kAdam, .rate = {}, .beta1 = 0.5, .beta2 = 0.9}, 0.01);
}

TEST(OptimizerTest, StepsAsAdamWithDecoupledDecayIsPublished) {
  ExpectPublishedSteps({.rule = UpdateRule::kAdam, .rate = {}, .weight_decay = 0.3}, 0.01);
}

TEST(OptimizerTest, StepsAsFtrlProximalIsPublished) {
  ExpectPublishedSteps({.rule = UpdateRule::kFtrl, .rate = {}}, 0.1);
  ExpectPublishedSteps({.rule = UpdateRule::kFtrl, .rate = {}, .beta = 0.5, .l1 = 3, .l2 = 2}, 0.1);
  ExpectPublishedSteps({.rule = UpdateRule::kFtrl, .rate = {}, .l1 = 3, .clip_value = 0.5}, 0.1);
}

TEST(OptimizerTest, RegularizesAndClipsEachGradientRuleInOneOrder) {
  for (const UpdateRule rule : {UpdateRule::kSgd, UpdateRule::kMomentum, UpdateRule::kNesterov,
                                UpdateRule::kAdagrad, UpdateRule::kRmsprop, UpdateRule::kAdam}) {
    SCOPED_TRACE(static_cast<int>(rule));
    ExpectPublishedSteps({.rule = rule, .rate = {}, .l1 = 0.1}, 0.01);
    ExpectPublishedSteps({.rule = rule, .rate = {}, .l2 = 0.3}, 0.01);
    ExpectPublishedSteps({.rule = rule, .rate = {}, .weight_decay = 0.3}, 0.01);
    ExpectPublishedSteps({.rule = rule, .rate = {}, .clip_value = 0.4}, 0.01);
    ExpectPublishedSteps(
        {.rule = rule, .rate = {}, .l1 = 0.1, .l2 = 0.3, .weight_decay = 0.2, .clip_value = 0.4},
        0.01);
  }
}

// One step of {1, -2, 0} along {5, -5, 0.5} at rate 0.1.
std::vector<float> OneStep(UpdateSettings settings) {
  const std::unique_ptr<Optimizer> optimizer = Made(settings);
  std::vector<float> parameters = {1, -2, 0}, change = {5, -5, 0.5};
  std::vector<float> state(3 * optimizer->slots());
  optimizer->Step({0.1F, 1}, change, parameters, {state.data(), 3});
  return parameters;
}

void ExpectNear(const std::vector<float>& values, const std::vector<double>& expected) {
  ASSERT_EQ(values.size(), expected.size());
  for (size_t i = 0; i < values.size(); ++i) EXPECT_NEAR(values[i], expected[i], 1e-6) << i;
}

TEST(OptimizerTest, RegularizesAndClipsAsWorkedOutByHand) {
  ExpectNear(OneStep({}), {0.5, -1.5, -0.05});
  ExpectNear(OneStep({.rate = {}, .l1 = 0.5}), {0.45, -1.45, -0.05});
  ExpectNear(OneStep({.rate = {}, .l2 = 0.5}), {0.45, -1.4, -0.05});
  ExpectNear(OneStep({.rate = {}, .weight_decay = 0.5}), {0.45, -1.4, -0.05});
  ExpectNear(OneStep({.rate = {}, .clip_value = 2}), {0.8, -1.8, -0.05});
  ExpectNear(OneStep({.rate = {}, .l1 = 0.5, .l2 = 0.5, .weight_decay = 0.5, .clip_value = 2}),
             {0.65, -1.55, -0.05});
}

TEST(OptimizerTest, HoldsFtrlAtZeroExactlyWhileL1OutweighsTheGradients) {
  const std::unique_ptr<Optimizer> optimizer =
      Made({.rule = UpdateRule::kFtrl, .rate = {}, .l1 = 2.5});
  std::vector<float> parameters(2), state(4);
  std::vector<bool> at_zero;
  for (uint64_t count = 1; count <= 4; ++count) {
    std::vector<float> change = {1, count % 2 == 0 ? -1.0F : 1.0F};
    optimizer->Step({0.1F, count}, change, parameters, {state.data(), 2});
    at_zero.push_back(parameters[0] == 0);
    EXPECT_EQ(parameters[1], 0);
  }
  EXPECT_EQ(at_zero, (std::vector<bool>{true, true, false, false}));
  EXPECT_LT(parameters[0], 0);
}

// A first gradient of zero, and one whose square is zero, with nothing else to divide by.
TEST(OptimizerTest, HoldsFtrlAtZeroWhereNothingHasMovedIt) {
  const std::unique_ptr<Optimizer> optimizer =
      Made({.rule = UpdateRule::kFtrl, .rate = {}, .beta = 0});
  std::vector<float> parameters(3), state(6), change = {0, 1e-30F, 1};
  optimizer->Step({0.1F, 1}, change, parameters, {state.data(), 3});
  EXPECT_EQ(parameters, (std::vector<float>{0, 0, -0.1F}));
  change = {1, 1, 1};
  optimizer->Step({0.1F, 2}, change, parameters, {state.data(), 3});
  EXPECT_NEAR(parameters[0], -0.1, 1e-6);
  EXPECT_NEAR(parameters[1], -0.1, 1e-6);
}

// The square of 1e25 is no float. Rules that forget move again; all stay numbers.
TEST(OptimizerTest, OutlivesAGradientWhoseSquareIsTooLarge) {
  for (const UpdateRule rule :
       {UpdateRule::kAdagrad, UpdateRule::kRmsprop, UpdateRule::kAdam, UpdateRule::kFtrl}) {
    SCOPED_TRACE(static_cast<int>(rule));
    const std::unique_ptr<Optimizer> optimizer =
        Made({.rule = rule, .rate = {}, .beta1 = 0.5, .beta2 = 0.5});
    std::vector<float> parameters(1), state(2);
    std::vector<float> change = {1e25F};
    optimizer->Step({0.1F, 1}, change, parameters, {state.data(), 1});
    float before = 0;
    for (uint64_t count = 2; count <= 400; ++count) {
      before = parameters[0];
      change = {1};
      optimizer->Step({0.1F, count}, change, parameters, {state.data(), 1});
      ASSERT_TRUE(std::isfinite(parameters[0])) << count;
    }
    for (const float kept : state) EXPECT_TRUE(std::isfinite(kept));
    const bool forgets = rule == UpdateRule::kRmsprop || rule == UpdateRule::kAdam;
    if (forgets) {
      EXPECT_NEAR(before - parameters[0], 0.1, 0.01);
    }
  }
}

// Schedules end at zero unless told otherwise.
TEST(OptimizerTest, MovesNothingAtARateOfZero) {
  for (const UpdateRule rule :
       {UpdateRule::kSgd, UpdateRule::kMomentum, UpdateRule::kNesterov, UpdateRule::kAdagrad,
        UpdateRule::kRmsprop, UpdateRule::kAdam, UpdateRule::kFtrl}) {
    SCOPED_TRACE(static_cast<int>(rule));
    const std::unique_ptr<Optimizer> optimizer = Made({.rule = rule, .rate = {}, .l2 = 0.1});
    std::vector<float> parameters(3), state(6);
    std::vector<float> first = {1, -2, 0}, second = {1, 0, 0};
    optimizer->Step({0.1F, 1}, first, parameters, {state.data(), 3});
    const std::vector<float> before = parameters;
    optimizer->Step({0, 2}, second, parameters, {state.data(), 3});
    EXPECT_EQ(parameters, before);
    EXPECT_LT(before[0], 0);
  }
}

TEST(OptimizerTest, StepsInPartsAsInOnePiece) {
  const std::unique_ptr<Optimizer> optimizer = Made({.rule = UpdateRule::kAdam, .rate = {}});
  Rng rng(3);
  std::vector<float> whole(10, 1.0F), parts = whole, whole_state(20), parts_state(20);
  for (uint64_t count = 1; count <= 5; ++count) {
    std::vector<float> change(10);
    for (float& value : change) value = static_cast<float>(rng.Uniform() - 0.5);
    std::vector<float> again = change;
    const UpdateState state{parts_state.data(), 10};
    const UpdateTime time{0.1F, count};
    optimizer->Step(time, change, whole, {whole_state.data(), 10});
    optimizer->Step(time, std::span(again).first(4), std::span(parts).first(4), state);
    optimizer->Step(time, std::span(again).subspan(4), std::span(parts).subspan(4), state.From(4));
  }
  EXPECT_EQ(parts, whole);
  EXPECT_EQ(parts_state, whole_state);
}

// Of every rule, with and without what is added to the gradient; counts go apart from row to row.
TEST(OptimizerTest, StepsRowsOfAnySizeAsItStepsRanges) {
  constexpr float kRate = 0.1F;
  Rng rng(21);
  const auto any = [&rng] { return static_cast<float>(2 * rng.Uniform() - 1); };
  for (int rule = 0; rule <= static_cast<int>(UpdateRule::kMax); ++rule) {
    for (const uint32_t dim : {1U, 3U, 8U, 16U, 32U, 600U}) {
      UpdateSettings settings;
      settings.rule = static_cast<UpdateRule>(rule);
      if (dim % 3 == 0) settings.l2 = settings.clip_value = 0.5;
      const auto optimizer = Made(settings);
      const uint64_t floats = RowFloats(dim, *optimizer);
      std::vector<std::vector<float>> rows(5, std::vector<float>(floats));
      for (auto& row : rows) std::generate_n(row.begin(), dim, any);
      std::vector<std::vector<float>> expected = rows;
      for (uint64_t step = 1; step <= 4; ++step) {
        std::vector<std::vector<float>> values(rows.size(), std::vector<float>(dim));
        std::vector<RowChange> changes;
        for (size_t i = 0; i < rows.size(); ++i) {
          if (i % 2 == 1 && step % 2 == 1) continue;
          std::ranges::generate(values[i], any);
          const float weight = 0.25F * static_cast<float>(i + 1);
          const float scale = ScaleOf(optimizer->combine(), weight);
          changes.push_back({rows[i].data(), values[i].data(), scale, weight});
          std::vector<float> sum(dim);
          CombineInto(optimizer->combine(), true, weight, values[i], sum);
          float* row = expected[i].data();
          const uint64_t count = i % 2 == 1 ? step / 2 : step;
          optimizer->Step({kRate, count, weight}, sum, {row, dim}, {row + dim, dim});
          if (optimizer->counts()) row[floats - 1] = static_cast<float>(count);
        }
        optimizer->StepRows(kRate, dim, changes);
        ASSERT_EQ(rows, expected) << "rule " << rule << ", dim " << dim << ", step " << step;
      }
    }
  }
}

TEST(OptimizerTest, KeepsAsManyFloatsBesideAParameterAsItsRuleNeeds) {
  const auto slots = [](UpdateRule rule) { return Made({.rule = rule, .rate = {}})->slots(); };
  for (const UpdateRule rule :
       {UpdateRule::kMomentum, UpdateRule::kNesterov, UpdateRule::kAdagrad, UpdateRule::kRmsprop}) {
    EXPECT_EQ(slots(rule), 1U);
  }
  EXPECT_EQ(slots(UpdateRule::kAdam), 2U);
  EXPECT_EQ(slots(UpdateRule::kFtrl), 2U);
  for (const UpdateRule rule : {UpdateRule::kSgd, UpdateRule::kAverage, UpdateRule::kAdd,
                                UpdateRule::kAssign, UpdateRule::kMin, UpdateRule::kMax}) {
    EXPECT_EQ(slots(rule), 0U);
  }
}

// Combines three pushes with the weights 0.5, 0.25 and 0.25, and steps once from {10, -10}.
std::vector<float> Merged(UpdateSettings settings) {
  const std::unique_ptr<Optimizer> optimizer = Made(settings);
  const std::vector<std::vector<float>> pushes = {{4, -20}, {12, 8}, {-4, 0}};
  const std::vector<float> weights = {0.5F, 0.25F, 0.25F};
  std::vector<float> parameters = {10, -10}, change(2);
  for (size_t i = 0; i < pushes.size(); ++i) {
    CombineInto(optimizer->combine(), i == 0, weights[i], pushes[i], change);
  }
  optimizer->Step({0.1F, 1}, change, parameters, {});
  return parameters;
}

TEST(OptimizerTest, MergesPushesWithoutTheirWeights) {
  EXPECT_EQ(Merged({.rule = UpdateRule::kAdd, .rate = {}}), (std::vector<float>{22, -22}));
  EXPECT_EQ(Merged({.rule = UpdateRule::kAssign, .rate = {}}), (std::vector<float>{-4, 0}));
  EXPECT_EQ(Merged({.rule = UpdateRule::kMin, .rate = {}}), (std::vector<float>{-4, -20}));
  EXPECT_EQ(Merged({.rule = UpdateRule::kMax, .rate = {}}), (std::vector<float>{12, 8}));
}

TEST(OptimizerTest, PutsTheWeightedMeanInThePlaceOfWhatWasThere) {
  EXPECT_EQ(Merged({.rule = UpdateRule::kAverage, .rate = {}}), (std::vector<float>{4, -8}));
}

// Of three members one has pushed this element: what it weighs is not what the others left out.
TEST(OptimizerTest, AveragesOverTheWeightsThatWerePushed) {
  const std::unique_ptr<Optimizer> optimizer = Made({.rule = UpdateRule::kAverage, .rate = {}});
  std::vector<float> parameters = {10, -10}, change(2);
  CombineInto(optimizer->combine(), true, 0.25F, std::vector<float>{4, -20}, change);
  optimizer->Step({0.1F, 1, 0.25F}, change, parameters, {});
  EXPECT_EQ(parameters, (std::vector<float>{4, -20}));
}

TEST(OptimizerTest, NeitherRegularizesNorClipsWhatIsMergedOrAveraged) {
  for (const UpdateRule rule : {UpdateRule::kAverage, UpdateRule::kAdd, UpdateRule::kAssign,
                                UpdateRule::kMin, UpdateRule::kMax}) {
    const std::vector<float> plain = Merged({.rule = rule, .rate = {}});
    EXPECT_EQ(Merged({.rule = rule,
                      .rate = {},
                      .l1 = 0.5,
                      .l2 = 0.5,
                      .weight_decay = 0.5,
                      .clip_value = 0.5}),
              plain)
        << static_cast<int>(rule);
  }
}

TEST(OptimizerTest, CombinesAsItsRuleSays) {
  const auto combine = [](UpdateRule rule) { return Made({.rule = rule, .rate = {}})->combine(); };
  for (int rule = 0; rule <= static_cast<int>(UpdateRule::kAverage); ++rule) {
    EXPECT_EQ(combine(static_cast<UpdateRule>(rule)), Combine::kWeightedSum) << rule;
  }
  EXPECT_EQ(combine(UpdateRule::kAdd), Combine::kSum);
  EXPECT_EQ(combine(UpdateRule::kAssign), Combine::kLast);
  EXPECT_EQ(combine(UpdateRule::kMin), Combine::kMin);
  EXPECT_EQ(combine(UpdateRule::kMax), Combine::kMax);
}

TEST(MakeOptimizerTest, RefusesNumbersThatAreNegativeOrNone) {
  double UpdateSettings::*const settings[] = {
      &UpdateSettings::momentum, &UpdateSettings::beta1,        &UpdateSettings::beta2,
      &UpdateSettings::epsilon,  &UpdateSettings::beta,         &UpdateSettings::l1,
      &UpdateSettings::l2,       &UpdateSettings::weight_decay, &UpdateSettings::clip_value};
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  for (const auto setting : settings) {
    for (const double bad : {-0.1, std::numeric_limits<double>::quiet_NaN(), kInfinity}) {
      UpdateSettings update;
      update.*setting = bad;
      const auto made = MakeOptimizer(update);
      ASSERT_FALSE(made.ok()) << bad;
      EXPECT_EQ(made.error().code, ErrorCode::kBadUsage);
    }
  }
}

TEST(MakeOptimizerTest, RefusesAMomentumOrBetaThatForgetsNothing) {
  EXPECT_FALSE(MakeOptimizer({.rule = UpdateRule::kMomentum, .rate = {}, .momentum = 1}).ok());
  EXPECT_FALSE(MakeOptimizer({.rule = UpdateRule::kAdam, .rate = {}, .beta1 = 1}).ok());
  EXPECT_FALSE(MakeOptimizer({.rule = UpdateRule::kAdam, .rate = {}, .beta2 = 1}).ok());
  EXPECT_TRUE(MakeOptimizer({.rule = UpdateRule::kAdam, .rate = {}, .beta1 = 0, .beta2 = 0}).ok());
}

TEST(MakeOptimizerTest, RefusesAnEpsilonThatIsZeroAsAFloat) {
  for (const UpdateRule rule : {UpdateRule::kAdagrad, UpdateRule::kRmsprop, UpdateRule::kAdam}) {
    EXPECT_FALSE(MakeOptimizer({.rule = rule, .rate = {}, .epsilon = 0}).ok());
    EXPECT_FALSE(MakeOptimizer({.rule = rule, .rate = {}, .epsilon = 1e-60}).ok());
    EXPECT_TRUE(MakeOptimizer({.rule = rule, .rate = {}, .epsilon = 1e-30}).ok());
  }
}

TEST(MakeOptimizerTest, RefusesARateThatCannotBe) {
  UpdateSettings update;
  update.rate.base = -1;
  EXPECT_FALSE(MakeOptimizer(update).ok());
  update.rate.base = 0.1;
  update.rate.length = 0;
  EXPECT_FALSE(MakeOptimizer(update).ok());
}

TEST(MakeOptimizerTest, RefusesWeightDecayBesideTheL2OfFtrl) {
  EXPECT_FALSE(MakeOptimizer({.rule = UpdateRule::kFtrl, .rate = {}, .weight_decay = 0.1}).ok());
  EXPECT_TRUE(MakeOptimizer({.rule = UpdateRule::kFtrl, .rate = {}, .l2 = 0.1}).ok());
}

TEST(MakeOptimizerTest, RefusesARuleThatIsNone) {
  EXPECT_FALSE(MakeOptimizer({.rule = static_cast<UpdateRule>(200), .rate = {}}).ok());
}

TEST(MakeOptimizerTest, LooksAtNoRateWhereAMergeHasNone) {
  UpdateSettings update;
  update.rate.base = 0;
  for (const UpdateRule rule :
       {UpdateRule::kAdd, UpdateRule::kAssign, UpdateRule::kMin, UpdateRule::kMax}) {
    update.rule = rule;
    EXPECT_TRUE(MakeOptimizer(update).ok());
  }
}

}  // namespace
}  // namespace shardmill
