// Whole steps of networks on a card beside the processor's.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "nn/ops/bf16.h"
#include "optim/optimizer.h"
#include "optim/squares.h"
#include "tests/nn/network_fixture.h"
#include "tests/nn/ops/twin.h"

namespace shardmill::nn {
namespace {

// Of the greatest number of a gradient; a step adds up what its operations have rounded. Where that
// is all that is left, as of what a norm takes out again, it is a share of the other gradients.
constexpr double kTolerance = 5e-4;
constexpr double kLeast = 1e-2;

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

double Greatest(const std::vector<float>& numbers) {
  double greatest = 0;
  for (const float number : numbers) {
    greatest = std::max(greatest, std::abs(static_cast<double>(number)));
  }
  return greatest;
}

void ExpectAlike(const NetworkFixture& there, const NetworkFixture& here) {
  double greatest = 0;
  for (const std::vector<float>& gradient : here.gradients()) {
    greatest = std::max(greatest, Greatest(gradient));
  }
  for (size_t i = 0; i < here.gradients().size(); ++i) {
    const std::vector<float>&want = here.gradients()[i], &got = there.gradients()[i];
    const double scale = std::max(Greatest(want), kLeast * greatest);
    for (size_t at = 0; at < want.size(); ++at) {
      ASSERT_NEAR(got[at], want[at], kTolerance * scale) << here.network().parameters()[i].name;
    }
  }
}

struct Device {
  const char* name;
  uint64_t seed;
};

class CardNetworkTest : public testing::TestWithParam<Device> {
 protected:
  void SetUp() override {
    Result<LoadedPlugin::BackendPointer> card = OpenDeviceNamed(GetParam().name, GetParam().seed);
    if (!card.ok()) GTEST_SKIP() << card.error().message;
    card_ = std::move(card).value();
  }

  void ExpectSteps(const NetworkSpec& spec, uint64_t rows) {
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
      ExpectAlike(there, here);
    }
    EXPECT_NEAR(there.Evaluate(rows).value().loss, here.Evaluate(rows).value().loss,
                kTolerance * static_cast<double>(rows));
  }

  LoadedPlugin::BackendPointer card_;
};

TEST_P(CardNetworkTest, MakesALeNetStep) { ExpectSteps(LeNet(), 16); }

TEST_P(CardNetworkTest, MakesAStepThroughEveryFamilyOfLayers) { ExpectSteps(ManyLayersSpec(), 32); }

TEST_P(CardNetworkTest, HalvesGradientsOnTheirWay) {
  NetworkSpec spec = ManyLayersSpec();
  spec.half_gradients = true;
  NetworkFixture here(ManyLayersSpec(), *card_), there(spec, *card_);
  here.MakeBatch(6);
  there.MakeBatch(6);
  EXPECT_EQ(there.Train(6).value(), here.Train(6).value());
  std::vector<std::vector<float>> want = here.gradients();
  for (std::vector<float>& gradient : want) {
    for (float& number : gradient) number = FromBf16(ToBf16(number));
  }
  EXPECT_EQ(there.gradients(), want);
}

// Steps of what stays on the card, beside those of the host, through recorded pieces.
TEST_P(CardNetworkTest, StepsWhatItKeeps) {
  UpdateSettings settings;
  settings.rule = UpdateRule::kMomentum;
  settings.momentum = 0.5;
  const std::unique_ptr<Optimizer> rule = MakeOptimizer(settings).value();
  NetworkFixture here(LeNet()), there(LeNet(), *card_);
  const size_t count = here.parameters().size();
  ASSERT_TRUE(there.network().Keep(std::vector<const Optimizer*>(count, rule.get())));
  Kept& kept = *there.network().kept();
  std::vector<std::vector<float>> states = here.parameters();
  for (auto& state : states) std::ranges::fill(state, 0.0F);
  for (NetworkFixture* fixture : {&here, &there}) {
    fixture->MakeBatch(16);
    for (auto& numbers : fixture->parameters()) {
      for (float& number : numbers) number *= 0.2F;
    }
  }
  for (uint64_t step = 1; step <= 5; ++step) {
    EXPECT_NEAR(there.Train(16).value(), here.Train(16).value(), kTolerance) << step;
    const UpdateTime time{.rate = 0.05F, .count = step, .scale = 0.5F};
    for (size_t i = 0; i < count; ++i) {
      const double squares = SquaresOf(here.gradients()[i]);
      EXPECT_NEAR(kept.squares(i), squares, 0.01 * squares + 1e-9) << i;
      const UpdateState state{states[i].data(), states[i].size()};
      rule->Step(time, here.gradients()[i], here.parameters()[i], state);
    }
    kept.Step(std::vector<UpdateTime>(count, time));
  }
  std::vector<float> got;
  for (size_t i = 0; i < count; ++i) {
    got.assign(here.parameters()[i].size(), NAN);
    ASSERT_TRUE(kept.FetchParameter(i, got));
    for (size_t at = 0; at < got.size(); ++at) {
      ASSERT_NEAR(got[at], here.parameters()[i][at], kTolerance) << i;
    }
    ASSERT_TRUE(kept.FetchState(i, got));
    for (size_t at = 0; at < got.size(); ++at) ASSERT_NEAR(got[at], states[i][at], kTolerance) << i;
  }
}

// What is lent to an evaluation comes no sooner than the step under way is over.
TEST_P(CardNetworkTest, EvaluatesWhatItIsLentRightBehindAStep) {
  const std::unique_ptr<Optimizer> rule = MakeOptimizer({}).value();
  NetworkFixture here(LeNet()), there(LeNet(), *card_);
  const size_t count = here.parameters().size();
  ASSERT_TRUE(there.network().Keep(std::vector<const Optimizer*>(count, rule.get())));
  for (NetworkFixture* fixture : {&here, &there}) fixture->MakeBatch(16);
  const double want = here.Evaluate(16).value().loss;
  for (int again = 0; again < 5; ++again) {
    ASSERT_TRUE(there.Train(16).ok());
    there.network().kept()->Step(std::vector<UpdateTime>(count, {.rate = 10}));
    EXPECT_NEAR(there.Evaluate(16).value().loss, want, kTolerance * want);
  }
}

TEST_P(CardNetworkTest, MakesTheSameBitsAgain) {
  NetworkFixture fixture(LeNet(), *card_);
  fixture.MakeBatch(16);
  const double loss = fixture.Train(16).value();
  const std::vector<std::vector<float>> gradients = fixture.gradients();
  for (int again = 0; again < 3; ++again) {
    EXPECT_EQ(fixture.Train(16).value(), loss);
    EXPECT_EQ(fixture.gradients(), gradients);
  }
}

TEST_P(CardNetworkTest, SaysHowMuchRoomIsMissing) {
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
  EXPECT_NE(output.error().message.find(" MiB of that are missing (an eighth of what is free is "
                                        "left to operations): lower data.batch_size"),
            std::string::npos)
      << output.error().message;
}

INSTANTIATE_TEST_SUITE_P(Devices, CardNetworkTest,
                         testing::Values(Device{"soft", 1}, Device{"soft", 2}, Device{"soft", 3},
                                         Device{"direct", 4}, Device{"card", 0}),
                         [](const auto& device) {
                           return device.param.name + std::to_string(device.param.seed);
                         });

}  // namespace
}  // namespace shardmill::nn
