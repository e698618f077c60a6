#include "worker/network_model.h"

#include <gtest/gtest.h>

#include <cmath>
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
  const ColumnView input{.floats = inputs};
  const Batch batch{.inputs = {&input, 1}, .labels = labels, .rows = 2};
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

TEST(NetworkModelTest, TrainsOnSparseRowsAlsoWhereTheyNameNoIds) {
  nn::NetworkSpec spec{.input = {}, .layers = {{"affine", 2}}, .loss = "softmax_cross_entropy"};
  spec.inputs = {{"words", {nn::ValueKind::kSparse, {1}}}};
  const auto model = NetworkModel::Make(spec, 2, 7).value();
  ASSERT_EQ(model->Parameters()[0].dim, 2U);
  const std::vector<uint32_t> labels{1, 1};
  std::vector<float> bias(2), bias_gradient(2), weight{1, 0, 0, 1}, weight_gradient(4, 9.0F);
  // The weights are lent for the two ids of the batch, or for none.
  const auto train = [&](const ColumnView& input, size_t ids) {
    const std::vector<std::span<const float>> parameters{std::span(weight).first(2 * ids), bias};
    const std::vector<std::span<float>> gradients{std::span(weight_gradient).first(2 * ids),
                                                  bias_gradient};
    const Batch batch{.inputs = {&input, 1}, .labels = labels, .rows = 2};
    return model->Train(batch, parameters, gradients);
  };
  const std::vector<uint64_t> none{0, 0}, ends{2, 2};
  ASSERT_TRUE(train({.ends = none}, 0).ok());
  EXPECT_EQ(bias_gradient, (std::vector<float>{0.5F, -0.5F}));
  const std::vector<float> numbers{2, 3};
  const std::vector<uint32_t> ids{1, 0};
  ASSERT_TRUE(train({.floats = numbers, .ids = ids, .ends = ends}, 2).ok());
  // The first row scores 3 and 2, the second nothing.
  const float share = 1.0F / (1.0F + std::exp(-1.0F));
  EXPECT_FLOAT_EQ(weight_gradient[0], 0.5F * 3 * share);
  EXPECT_FLOAT_EQ(weight_gradient[3], -0.5F * 2 * share);
  EXPECT_FLOAT_EQ(bias_gradient[0], 0.5F * (share + 0.5F));
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
    const ColumnView input{.floats = inputs};
    const Batch batch{.inputs = {&input, 1}, .labels = labels, .rows = 8, .chance = chance};
    return model->Train(batch, parameters, gradients).value();
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
  const std::vector<ColumnView> one{{.floats = inputs}};
  for (const Batch& batch : {Batch{.inputs = one, .labels = labels, .rows = 3},
                             Batch{.inputs = one, .labels = {}, .rows = 2},
                             Batch{.inputs = {}, .labels = labels, .rows = 2}}) {
    const Result<Evaluation> result = model->Evaluate(batch, parameters);
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.error().code, ErrorCode::kBadInput);
  }
}

// Of words 10 and 20 and what follows them: the sum of their rows is the output.
TEST(NetworkModelTest, TrainsTheRowsThatTheKeysOfABatchName) {
  nn::NetworkSpec spec{.input = {}, .layers = {}, .loss = "l2"};
  spec.inputs = {{"words", {nn::ValueKind::kIndices, {2}}}};
  spec.layers = {{.type = "embedding_bag", .units = 1}};
  // The words are the second column of the data.
  const auto model = NetworkModel::Make(spec, 0, 7, {.columns = {1}}).value();
  ASSERT_EQ(model->Parameters().size(), 1U);
  EXPECT_EQ(model->Parameters()[0].dim, 1U);
  EXPECT_EQ(model->Parameters()[0].input, 1U);
  const std::vector<uint64_t> keys{10, 20, 30};
  const std::vector<uint32_t> ids{0, 1, 1, 2};
  const std::vector<float> targets{4, 5}, rows{1, 2, 3};
  std::vector<float> gradient(3);
  const std::vector<ColumnView> inputs{{}, {.ids = ids, .keys = keys}};
  const Batch batch{.inputs = inputs, .values = targets, .rows = 2};
  const std::vector<std::span<const float>> parameters{rows};
  const std::vector<std::span<float>> gradients{gradient};
  ASSERT_TRUE(model->Train(batch, parameters, gradients).ok());
  EXPECT_LT(gradient[0], 0);
  EXPECT_EQ(gradient[1], gradient[0]);
  EXPECT_EQ(gradient[2], 0);
  const auto outputs = model->Predict(batch, parameters).value();
  EXPECT_EQ(std::vector<float>(outputs.begin(), outputs.end()), (std::vector<float>{3, 5}));
}

TEST(NetworkModelTest, RefusesTwoTablesOfOneInputThatCountItsIdsDifferently) {
  nn::NetworkSpec spec{.input = {}, .layers = {}, .loss = "l2"};
  spec.inputs = {{"words", {nn::ValueKind::kIndices, {2}}}};
  spec.layers = {
      {.type = "embedding_bag", .units = 1, .name = "wide"},
      {.type = "embedding_bag", .units = 1, .name = "deep", .inputs = {"words"}, .rows = 9},
      {.type = "add", .inputs = {"wide", "deep"}}};
  const auto model = NetworkModel::Make(spec, 0, 7);
  ASSERT_FALSE(model.ok());
  EXPECT_TRUE(model.error().message.starts_with(
      "\"wide.weight\" reads \"words\" by key, and another layer reads it"))
      << model.error().message;
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
