#include <gtest/gtest.h>

#include <filesystem>
#include <iostream>
#include <numeric>
#include <vector>

#include "worker/data/batches.h"
#include "worker/data/idx_reader.h"
#include "worker/data/read_data.h"
#include "worker/network_model.h"

namespace shardmill {
namespace {

struct Weights {
  explicit Weights(const Model& model) {
    for (size_t index = 0; index < model.Parameters().size(); ++index) {
      values.emplace_back(model.Parameters()[index].size);
      gradients.emplace_back(model.Parameters()[index].size);
      FillInitial(model.Parameters()[index].initial, 0, values.back());
    }
    for (size_t index = 0; index < values.size(); ++index) {
      lent_values.emplace_back(values[index]);
      lent_gradients.emplace_back(gradients[index]);
    }
  }

  void Descend(float learning_rate) {
    for (size_t index = 0; index < values.size(); ++index) {
      for (size_t i = 0; i < values[index].size(); ++i) {
        values[index][i] -= learning_rate * gradients[index][i];
      }
    }
  }

  std::vector<std::vector<float>> values, gradients;
  std::vector<std::span<const float>> lent_values;
  std::vector<std::span<float>> lent_gradients;
};

double Accuracy(const SampleStore& data, Model& model, const Weights& weights) {
  BatchMaker maker(data, {});
  GatheredRows rows;
  Evaluation sums;
  for (uint32_t begin = 0; begin < data.rows(); begin += 1000) {
    std::vector<uint32_t> numbers(1000);
    std::iota(numbers.begin(), numbers.end(), begin);
    maker.Fill(numbers, rows);
    sums.Add(model.Evaluate(maker.View(rows, 0), weights.lent_values).value());
  }
  return static_cast<double>(sums.correct) / static_cast<double>(sums.rows);
}

TEST(FashionMnistTest, IsLearntBySoftmaxRegressionInAFewEpochs) {
  if (!std::filesystem::exists(kFashionMnistFolder)) {
    GTEST_SKIP() << "the data set is not there: apt-get install dataset-fashion-mnist";
  }
  DataOptions options;
  options.folder = kFashionMnistFolder;
  const DataParts data = ReadData(options, 1, nullptr).value();
  const SampleStore& train = *data.train;
  const SampleStore& test = *data.test;
  ASSERT_EQ(train.rows(), 60000U);
  ASSERT_EQ(test.rows(), 10000U);
  const std::vector<uint64_t>& picture = train.columns()[0].row_shape;
  ASSERT_EQ(picture, (std::vector<uint64_t>{28, 28}));
  const nn::NetworkSpec spec{.input = nn::Shape::Make(picture).value(),
                             .layers = {{"flatten"}, {"affine", 10}},
                             .loss = "softmax_cross_entropy"};
  const std::unique_ptr<NetworkModel> model = NetworkModel::Make(spec, 10, 7).value();
  Weights weights(*model);
  Batches batches(train, {.seed = 7, .rank = 0, .workers = 1, .batch_rows = 128});
  for (uint64_t epoch = 0; epoch < 3; ++epoch) {
    for (uint64_t step = 0; step < batches.steps_per_epoch(); ++step) {
      const Batch batch = batches.At(epoch, step);
      ASSERT_TRUE(model->Train(batch, weights.lent_values, weights.lent_gradients).ok());
      weights.Descend(0.1F);
    }
  }
  const double accuracy = Accuracy(test, *model, weights);
  std::cout << "accuracy " << accuracy << " on the test set after 3 epochs\n";
  EXPECT_GE(accuracy, 0.80);
}

}  // namespace
}  // namespace shardmill
