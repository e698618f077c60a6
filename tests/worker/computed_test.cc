#include "worker/computed.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/json/json.h"
#include "tests/nn/soft_card/open.h"

namespace shardmill {
namespace {

// Of its two convolutions the second has a group for each channel.
nn::NetworkSpec Spec() {
  return {.input = {5, 5},
          .layers = {{.type = "conv2d", .units = 2, .kernel = 3, .padding = 1},
                     {.type = "silu", .name = "bent"},
                     {.type = "conv2d", .units = 2, .kernel = 3, .padding = 1, .groups = 2},
                     {.type = "silu", .name = "again"},
                     {"flatten"},
                     {"affine", 2}},
          .loss = "softmax_cross_entropy"};
}

std::unique_ptr<NetworkModel> ModelOn(nn::NetworkSpec spec, const soft::Settings& card) {
  Device device{std::move(nn::OpenSoftCard(card)).value(), "a card"};
  return NetworkModel::Make(spec, 2, 7, {}, std::move(device)).value();
}

void Train(NetworkModel& model, int steps) {
  constexpr uint32_t kRows = 3;
  std::vector<std::vector<float>> values, gradients;
  for (const ParameterSpec& parameter : model.Parameters()) {
    values.emplace_back(parameter.size, 0.1F);
    gradients.emplace_back(parameter.size);
  }
  const std::vector<float> pictures(kRows * 25, 0.5F);
  const std::vector<uint32_t> labels(kRows);
  const ColumnView input{.floats = pictures};
  const Batch batch{.inputs = {&input, 1}, .labels = labels, .rows = kRows};
  const std::vector<std::span<const float>> lent(values.begin(), values.end());
  const std::vector<std::span<float>> back(gradients.begin(), gradients.end());
  for (int step = 0; step < steps; ++step) ASSERT_TRUE(model.Train(batch, lent, back).ok());
}

uint64_t Count(const JsonValue& json, const char* of, const char* what) {
  return json.Find(of)->Find(what)->whole;
}

TEST(ComputedTest, CountsWhatACardDidAndByWhat) {
  const auto model = ModelOn(Spec(), {});
  Train(*model, 5);
  const JsonValue json = ParseJson(ComputedJson(3, *model)).value();
  EXPECT_EQ(json.Find("worker")->whole, 3U);
  EXPECT_EQ(json.Find("on")->text, "a card");
  EXPECT_GT(json.Find("step_bytes")->whole, 0U);
  EXPECT_EQ(json.Find("bytes_saved")->whole, 0U);
  // One piece each way: asked for twice, the second time to record it.
  EXPECT_EQ(Count(json, "pieces", "asked"), 4U);
  EXPECT_EQ(Count(json, "pieces", "recorded"), 2U);
  EXPECT_EQ(Count(json, "pieces", "replayed"), 6U);
  // The first one's input has no gradient.
  EXPECT_EQ(Count(json, "convolutions", "by_library"), 2U);
  EXPECT_EQ(Count(json, "convolutions", "by_kernels"), 3U);
  const std::vector<std::string> slower = SlowerWords(*model);
  ASSERT_EQ(slower.size(), 1U);
  EXPECT_TRUE(slower[0].starts_with("3 of 5 convolutions are done by kernels of our own"))
      << slower[0];
}

TEST(ComputedTest, SaysWhyNothingWasRecordedAndWhatWasComputedAgain) {
  nn::NetworkSpec spec = Spec();
  spec.recompute = nn::Recompute::kAlways;
  const auto model = ModelOn(spec, {.records_convolutions = false});
  Train(*model, 3);
  const JsonValue json = ParseJson(ComputedJson(0, *model)).value();
  EXPECT_GT(json.Find("bytes_saved")->whole, 0U);
  ASSERT_EQ(json.Find("again")->items.size(), 2U);
  EXPECT_GT(json.Find("share_again")->number, 0);
  EXPECT_EQ(Count(json, "pieces", "replayed"), 0U);
  const std::vector<JsonValue>& slower = json.Find("slower")->items;
  ASSERT_EQ(slower.size(), 3U);
  EXPECT_TRUE(
      slower[0].text.starts_with("it computes 2 of its layers again, so that a step takes"));
  EXPECT_EQ(slower[1].text,
            "the card is asked for each operation, since cuDNN: CUDNN_STATUS_NOT_SUPPORTED");
}

TEST(ComputedTest, SaysNothingOfCardsWhereTheProcessorComputes) {
  const auto model = NetworkModel::Make(Spec(), 2, 7).value();
  Train(*model, 2);
  EXPECT_TRUE(SlowerWords(*model).empty());
  const JsonValue json = ParseJson(ComputedJson(0, *model)).value();
  EXPECT_EQ(json.Find("on")->text, "the processor");
  EXPECT_EQ(json.Find("pieces"), nullptr);
}

}  // namespace
}  // namespace shardmill
