// Whole steps of networks on a card beside the processor's.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tests/nn/network_fixture.h"
#include "tests/nn/ops/twin.h"

namespace shardmill::nn {
namespace {

// Of the greatest number of a gradient; a step adds up what its operations have rounded.
constexpr double kTolerance = 5e-4;

NetworkSpec LeNet() {
  return {.input = {28, 28},
          .layers = {{.type = "conv2d", .units = 6, .kernel = 5, .padding = 2},
                     {"relu"},
                     {.type = "max_pool", .kernel = 2},
                     {.type = "conv2d", .units = 16, .kernel = 5},
                     {"relu"},
                     {.type = "max_pool", .kernel = 2},
                     {"flatten"},
                     {"affine", 120},
                     {"relu"},
                     {"affine", 84},
                     {"relu"},
                     {"affine", 10}},
          .loss = "softmax_cross_entropy"};
}

double Difference(const std::vector<float>& got, const std::vector<float>& want) {
  double greatest = 1e-30, apart = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    const double difference = std::abs(static_cast<double>(got[i]) - static_cast<double>(want[i]));
    if (!std::isfinite(difference)) return difference;
    greatest = std::max(greatest, std::abs(static_cast<double>(want[i])));
    apart = std::max(apart, difference);
  }
  return apart / greatest;
}

class CardNetworkTest : public testing::Test {
 protected:
  void SetUp() override {
    Result<LoadedPlugin::BackendPointer> card = OpenDeviceNamed("card");
    if (!card.ok()) GTEST_SKIP() << card.error().message;
    card_ = std::move(card).value();
  }

  void ExpectAlike(const NetworkSpec& spec, uint64_t rows) {
    NetworkFixture here(spec), there(spec, *card_);
    // Of about the size that layers begin with, so that nothing is beyond what it saturates at.
    for (NetworkFixture* fixture : {&here, &there}) {
      fixture->MakeBatch(rows);
      for (size_t i = 0; i < fixture->parameters().size(); ++i) {
        if (fixture->network().parameters()[i].role == Role::kStatistic) continue;
        for (float& number : fixture->parameters()[i]) number *= 0.2F;
      }
    }
    for (const uint64_t count : {rows, rows / 2, uint64_t{1}}) {
      EXPECT_NEAR(there.Train(count).value(), here.Train(count).value(), kTolerance) << count;
      for (size_t i = 0; i < here.gradients().size(); ++i) {
        EXPECT_LE(Difference(there.gradients()[i], here.gradients()[i]), kTolerance)
            << here.network().parameters()[i].name << " of " << count << " rows";
      }
    }
    EXPECT_NEAR(there.Evaluate(rows).value().loss, here.Evaluate(rows).value().loss,
                kTolerance * static_cast<double>(rows));
  }

  LoadedPlugin::BackendPointer card_;
};

TEST_F(CardNetworkTest, MakesALeNetStep) { ExpectAlike(LeNet(), 64); }

TEST_F(CardNetworkTest, MakesAStepThroughEveryFamilyOfLayers) { ExpectAlike(ManyLayersSpec(), 32); }

TEST_F(CardNetworkTest, MakesTheSameBitsAgain) {
  NetworkFixture fixture(LeNet(), *card_);
  fixture.MakeBatch(64);
  const double loss = fixture.Train(64).value();
  const std::vector<std::vector<float>> gradients = fixture.gradients();
  for (int again = 0; again < 3; ++again) {
    EXPECT_EQ(fixture.Train(64).value(), loss);
    EXPECT_EQ(fixture.gradients(), gradients);
  }
}

TEST_F(CardNetworkTest, SaysHowMuchRoomIsMissing) {
  // Some 4 TiB of values in between, of a batch that is small itself.
  const NetworkSpec spec{.input = {1},
                         .layers = {{"affine", uint64_t{1} << 22}, {"affine", 2}},
                         .loss = "softmax_cross_entropy"};
  const std::unique_ptr<Network> network = Network::Make(spec, *card_).value();
  const uint64_t rows = uint64_t{1} << 18;
  const std::vector<float> numbers(rows);
  const Input input{.floats = numbers};
  const std::vector<std::span<const float>> parameters(network->parameters().size());
  const auto output =
      network->Predict({.inputs = {&input, 1}, .targets = {}, .rows = rows}, parameters);
  ASSERT_FALSE(output.ok());
  EXPECT_NE(output.error().message.find(" MiB of that are missing: lower data.batch_size"),
            std::string::npos)
      << output.error().message;
}

}  // namespace
}  // namespace shardmill::nn
