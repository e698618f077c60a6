#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "nn/losses/make_loss.h"
#include "nn/ops/cpu/backend.h"
#include "tests/nn/gradient_check.h"

namespace shardmill::nn {
namespace {

using Function = double (*)(double output, double target);

// The mean over rows of the mean over columns.
void ExpectLossOfItsDefinition(const std::string& name, const std::vector<float>& targets,
                               Function function) {
  constexpr uint64_t kRows = 4, kColumns = 3;
  const std::vector<float> output = RandomFloats(9, kRows * kColumns);
  const std::unique_ptr<Loss> loss = MakeLoss(name, {kColumns}).value();
  EXPECT_FALSE(loss->ReadsLabels());
  CpuBackend backend;
  std::vector<float> gradient(output.size()), row_losses(kRows);
  const Targets given{.labels = {}, .values = targets};
  ASSERT_TRUE(loss->Check(given).ok());
  loss->Compute(backend, {output, {kRows, kColumns}}, given, {row_losses, {kRows}},
                {gradient, {kRows, kColumns}});
  const auto mean = [&](const std::vector<double>& point) {
    double sum = 0;
    for (size_t i = 0; i < point.size(); ++i) {
      sum += function(point[i], static_cast<double>(targets[i]));
    }
    return sum / (kRows * kColumns);
  };
  double sum = 0;
  for (const float row : row_losses) sum += static_cast<double>(row);
  EXPECT_NEAR(sum / kRows, mean(Doubles(output)), 1e-6);
  EXPECT_LT(MaxDifference(gradient, NumericGradient(mean, Doubles(output))), 1e-6);
  const std::vector<float> want = row_losses;
  loss->Compute(backend, {output, {kRows, kColumns}}, given, {row_losses, {kRows}}, {});
  EXPECT_EQ(row_losses, want);
}

TEST(SoftmaxCrossEntropyTest, NamesTheRowWhoseLabelIsNoClass) {
  const std::unique_ptr<Loss> loss = MakeLoss("softmax_cross_entropy", {10}).value();
  EXPECT_TRUE(loss->Check({.labels = std::vector<uint32_t>{0, 9}, .values = {}}).ok());
  const std::vector<uint32_t> labels{0, 9, 10};
  const Result<> result = loss->Check({.labels = labels, .values = {}});
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().code, ErrorCode::kBadInput);
  EXPECT_NE(result.error().message.find("row 2"), std::string::npos);
  EXPECT_NE(result.error().message.find("label 10"), std::string::npos);
}

TEST(SoftmaxCrossEntropyTest, HasTheGradientOfTheMeanByFiniteDifferences) {
  const std::vector<uint32_t> labels{2, 0, 1, 3};
  const std::vector<float> logits = RandomFloats(9, 16);
  const std::unique_ptr<Loss> loss = MakeLoss("softmax_cross_entropy", {4}).value();
  CpuBackend backend;
  std::vector<float> gradient(16), row_losses(4);
  const Targets targets{.labels = labels, .values = {}};
  loss->Compute(backend, {logits, {4, 4}}, targets, {row_losses, {4}}, {gradient, {4, 4}});
  const auto mean = [&](const auto& point) { return CrossEntropyReference(point, labels) / 4; };
  double sum = 0;
  for (const float row : row_losses) sum += static_cast<double>(row);
  EXPECT_NEAR(sum / 4, mean(Doubles(logits)), 1e-6);
  EXPECT_LT(MaxDifference(gradient, NumericGradient(mean, Doubles(logits))), 1e-6);
  // Where no gradient is wanted the losses have the same bits.
  const std::vector<float> want = row_losses;
  loss->Compute(backend, {logits, {4, 4}}, targets, {row_losses, {4}}, {});
  EXPECT_EQ(row_losses, want);
}

TEST(LogLossTest, HasTheLossAndTheGradientOfItsDefinition) {
  ExpectLossOfItsDefinition("log_loss", {0, 1, 1, 0, 0.25F, 1, 0, 0, 1, 1, 0, 0},
                            [](double output, double target) {
                              const double share = 1 / (1 + std::exp(-output));
                              return -target * std::log(share) - (1 - target) * std::log(1 - share);
                            });
}

TEST(LogLossTest, RefusesATargetThatIsNoChanceAndTellsTheSides) {
  const std::unique_ptr<Loss> loss = MakeLoss("log_loss", {1}).value();
  const std::vector<float> bad{0.5F, 2.0F};
  const Result<> result = loss->Check({.labels = {}, .values = bad});
  ASSERT_FALSE(result.ok());
  EXPECT_NE(result.error().message.find("target 1 of the batch"), std::string::npos);
  const std::vector<float> values{1, 0};
  const std::vector<float> output{0.5F};
  EXPECT_TRUE(loss->IsCorrect(output, {.labels = {}, .values = values}, 0));
  EXPECT_FALSE(loss->IsCorrect(output, {.labels = {}, .values = values}, 1));
}

TEST(DistanceLossTest, HasTheLossAndTheGradientOfItsDefinition) {
  const std::vector<float> targets = RandomFloats(11, 12);
  ExpectLossOfItsDefinition("l2", targets, [](double output, double target) {
    return (output - target) * (output - target);
  });
  ExpectLossOfItsDefinition("l1", targets,
                            [](double output, double target) { return std::abs(output - target); });
}

}  // namespace
}  // namespace shardmill::nn
