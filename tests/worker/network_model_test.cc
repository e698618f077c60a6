#include "worker/network_model.h"

#include <gtest/gtest.h>

#include <vector>

namespace shardmill {
namespace {

nn::NetworkSpec SmallSpec() {
  return {.input = {2, 2}, .layers = {{"flatten"}, {"affine", 3}}, .loss = "softmax_cross_entropy"};
}

TEST(NetworkModelTest, ShowsTheNetworksParametersAsTables) {
  const auto model = NetworkModel::Make(SmallSpec(), 3, 7).value();
  ASSERT_EQ(model->Parameters().size(), 2U);
  EXPECT_EQ(model->Parameters()[0].name, "affine_2.weight");
  EXPECT_EQ(model->Parameters()[0].size, 12U);
  EXPECT_EQ(model->Parameters()[1].name, "affine_2.bias");
  EXPECT_EQ(model->Parameters()[1].size, 3U);
}

TEST(NetworkModelTest, TrainsAndEvaluatesABatch) {
  const auto model = NetworkModel::Make(SmallSpec(), 3, 7).value();
  std::vector<float> weight(12), bias(3), weight_gradient(12), bias_gradient(3);
  FillInitial(model->Parameters()[0].initial, 0, weight);
  FillInitial(model->Parameters()[1].initial, 0, bias);
  const std::vector<std::span<const float>> parameters{weight, bias};
  const std::vector<std::span<float>> gradients{weight_gradient, bias_gradient};
  const std::vector<float> inputs{1, 0, 0, 0, 0, 1, 0, 0};
  const std::vector<uint32_t> labels{2, 0};
  const Batch batch{inputs, labels, 2, 4};
  const double before = model->Train(batch, parameters, gradients).value();
  for (size_t i = 0; i < 12; ++i) weight[i] -= weight_gradient[i];
  for (size_t i = 0; i < 3; ++i) bias[i] -= bias_gradient[i];
  Evaluation sums;
  sums.Add(model->Evaluate(batch, parameters).value());
  sums.Add(model->Evaluate(batch, parameters).value());
  EXPECT_EQ(sums.rows, 4U);
  EXPECT_LE(sums.correct, 4U);
  EXPECT_LT(sums.loss / 4, before);
}

TEST(NetworkModelTest, DropsByTheChanceOfABatch) {
  nn::NetworkSpec spec = SmallSpec();
  spec.layers.insert(spec.layers.begin(), {.type = "dropout", .rate = 0.5});
  const auto model = NetworkModel::Make(spec, 3, 7).value();
  std::vector<float> weight(12), bias(3), weight_gradient(12), bias_gradient(3);
  FillInitial(model->Parameters()[0].initial, 0, weight);
  const std::vector<std::span<const float>> parameters{weight, bias};
  const std::vector<std::span<float>> gradients{weight_gradient, bias_gradient};
  const std::vector<float> inputs(4 * 8, 1.0F);
  const std::vector<uint32_t> labels(8);
  const auto loss = [&](uint64_t chance) {
    return model->Train({inputs, labels, 8, 4, chance}, parameters, gradients).value();
  };
  EXPECT_EQ(loss(1), loss(1));
  EXPECT_NE(loss(1), loss(2));
}

TEST(NetworkModelTest, RefusesABatchThatIsNotWhatItSays) {
  const auto model = NetworkModel::Make(SmallSpec(), 3, 7).value();
  std::vector<float> weight(12), bias(3);
  const std::vector<std::span<const float>> parameters{weight, bias};
  const std::vector<float> inputs(8);
  const std::vector<uint32_t> labels(2);
  for (const Batch& batch : {Batch{inputs, labels, 3, 4}, Batch{inputs, labels, 2, 5}}) {
    const Result<Evaluation> result = model->Evaluate(batch, parameters);
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.error().code, ErrorCode::kBadInput);
  }
}

TEST(NetworkModelTest, RefusesANetworkWithFewerUnitsThanTheDataHasClasses) {
  const auto model = NetworkModel::Make(SmallSpec(), 10, 7);
  ASSERT_FALSE(model.ok());
  EXPECT_EQ(model.error().code, ErrorCode::kBadUsage);
  EXPECT_EQ(model.error().message,
            "the last layer of the network has 3 units, but the data has 10 classes: it needs one "
            "unit a class");
}

}  // namespace
}  // namespace shardmill
