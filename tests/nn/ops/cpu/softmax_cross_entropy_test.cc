#include "nn/losses/softmax_cross_entropy.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "nn/ops/cpu/backend.h"
#include "tests/nn/gradient_check.h"

namespace shardmill::nn {
namespace {

constexpr double kTolerance = 1e-6;

struct Outcome {
  LossSums sums;
  std::vector<float> gradient;
};

Outcome Apply(std::span<const float> logits, const std::vector<uint32_t>& labels,
              float scale = 1.0F) {
  const Shape shape{labels.size(), logits.size() / labels.size()};
  Outcome outcome{{}, std::vector<float>(logits.size())};
  std::vector<float> row_losses(labels.size());
  CpuBackend().SoftmaxCrossEntropy(ConstTensor(logits, shape), labels, scale,
                                   {row_losses, {labels.size()}}, {outcome.gradient, shape});
  const SoftmaxCrossEntropy loss(shape.dim(1));
  for (size_t row = 0; row < labels.size(); ++row) {
    outcome.sums.loss += static_cast<double>(row_losses[row]);
    const auto output = logits.subspan(row * shape.dim(1), shape.dim(1));
    if (loss.IsCorrect(output, {labels, {}}, row)) ++outcome.sums.correct;
  }
  return outcome;
}

class SoftmaxCrossEntropyOpSizesTest : public testing::TestWithParam<uint32_t> {};

TEST_P(SoftmaxCrossEntropyOpSizesTest, HasTheLossAndTheGradientOfItsDefinition) {
  const uint32_t classes = GetParam();
  const std::vector<uint32_t> labels{0, classes - 1, classes / 2};
  const std::vector<float> logits = RandomFloats(classes, labels.size() * classes);
  const Outcome got = Apply(logits, labels, 0.25F);
  const auto loss = [&](const auto& point) { return CrossEntropyReference(point, labels); };
  EXPECT_NEAR(got.sums.loss, loss(Doubles(logits)), 1e-5);
  std::vector<double> want = NumericGradient(loss, Doubles(logits));
  for (double& value : want) value *= 0.25;
  EXPECT_LT(MaxDifference(got.gradient, want), kTolerance);
}

INSTANTIATE_TEST_SUITE_P(Classes, SoftmaxCrossEntropyOpSizesTest,
                         testing::Values(2U, 10U, 15U, 16U, 17U, 100U));

TEST(SoftmaxCrossEntropyOpTest, StaysFiniteWhereExponentialsWouldNot) {
  const std::vector<float> logits{1000.0F, 0.0F, -1000.0F};
  EXPECT_NEAR(Apply(logits, {0}).sums.loss, 0, 1e-6);
  EXPECT_NEAR(Apply(logits, {1}).sums.loss, 1000, 1e-3);
  EXPECT_NEAR(Apply(logits, {2}).sums.loss, 2000, 1e-3);
  const std::vector<double> want{1, 0, -1};
  EXPECT_LT(MaxDifference(Apply(logits, {2}).gradient, want), kTolerance);
}

TEST(SoftmaxCrossEntropyOpTest, CountsRowsWhoseLabelIsTheFirstGreatest) {
  const std::vector<float> logits{1, 3, 2,  //
                                  3, 1, 2,  //
                                  2, 2, 0,  //
                                  2, 2, 0};
  EXPECT_EQ(Apply(logits, {1, 2, 0, 1}).sums.correct, 2U);
}

TEST(SoftmaxCrossEntropyOpTest, ShowsNumbersThatAreNotFinite) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), kInfinity}) {
    for (size_t place = 0; place < 3; ++place) {
      std::vector<float> logits{1, 2, 3};
      logits[place] = bad;
      const Outcome outcome = Apply(logits, {0});
      EXPECT_FALSE(std::isfinite(outcome.sums.loss)) << bad << " at " << place;
      EXPECT_FALSE(std::all_of(outcome.gradient.begin(), outcome.gradient.end(),
                               [](float value) { return std::isfinite(value); }))
          << bad << " at " << place;
    }
  }
}

TEST(SoftmaxCrossEntropyOpTest, HasTheSameBitsWhereverTheLogitsLie) {
  const std::vector<float> logits = RandomFloats(5, 13);
  const std::vector<float> want = Apply(logits, {4}).gradient;
  for (size_t offset = 0; offset < 17; ++offset) {
    std::vector<float> memory(offset);
    memory.insert(memory.end(), logits.begin(), logits.end());
    EXPECT_EQ(Apply(std::span<const float>(memory).subspan(offset), {4}).gradient, want) << offset;
  }
}

}  // namespace
}  // namespace shardmill::nn
