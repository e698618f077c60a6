#include "nn/losses/softmax_cross_entropy.h"

#include <gtest/gtest.h>

#include <vector>

#include "tests/nn/gradient_check.h"

namespace shardmill::nn {
namespace {

TEST(SoftmaxCrossEntropyTest, NamesTheRowWhoseLabelIsNoClass) {
  const SoftmaxCrossEntropy loss(10);
  EXPECT_TRUE(loss.CheckLabels(std::vector<uint32_t>{0, 9}).ok());
  const Result<> result = loss.CheckLabels(std::vector<uint32_t>{0, 9, 10});
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().code, ErrorCode::kBadInput);
  EXPECT_NE(result.error().message.find("row 2"), std::string::npos);
  EXPECT_NE(result.error().message.find("label 10"), std::string::npos);
}

TEST(SoftmaxCrossEntropyTest, HasTheGradientOfTheMeanByFiniteDifferences) {
  const std::vector<uint32_t> labels{2, 0, 1, 3};
  const std::vector<float> logits = RandomFloats(9, 16);
  const SoftmaxCrossEntropy loss(4);
  std::vector<float> gradient(16);
  const Tensor saved(gradient, {4, 4});
  const LossSums sums = loss.Forward({logits, {4, 4}}, labels, saved);
  loss.Backward(labels, saved);
  const auto mean = [&](const auto& point) { return CrossEntropyReference(point, labels) / 4; };
  EXPECT_NEAR(sums.loss / 4, mean(Doubles(logits)), 1e-6);
  EXPECT_LT(MaxDifference(gradient, NumericGradient(mean, Doubles(logits))), 1e-6);
}

}  // namespace
}  // namespace shardmill::nn
