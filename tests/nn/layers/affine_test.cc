#include "nn/layers/affine.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "tests/nn/gradient_check.h"

namespace shardmill::nn {
namespace {

TEST(AffineTest, TellsItsOutputAndItsParameters) {
  const Affine layer(784, 10);
  EXPECT_EQ(layer.type(), "affine");
  EXPECT_EQ(layer.output(), Shape({10}));
  ASSERT_EQ(layer.parameters().size(), 2U);
  EXPECT_EQ(layer.parameters()[0].name, "weight");
  EXPECT_EQ(layer.parameters()[0].shape, Shape({784, 10}));
  EXPECT_EQ(layer.parameters()[1].name, "bias");
  EXPECT_EQ(layer.parameters()[1].shape, Shape({10}));
}

TEST(AffineTest, StartsWithWeightsWithinTheLimitOfGlorotAndWithoutBias) {
  const Affine layer(300, 100);
  EXPECT_FLOAT_EQ(layer.parameters()[0].initial_scale, std::sqrt(6.0F / 400));
  EXPECT_EQ(layer.parameters()[1].initial_scale, 0.0F);
}

TEST(AffineTest, HasTheGradientsOfFiniteDifferences) {
  constexpr uint64_t kRows = 3, kInputs = 5, kUnits = 4;
  const Affine layer(kInputs, kUnits);
  const std::vector<float> input = RandomFloats(1, kRows * kInputs);
  const std::vector<float> weight = RandomFloats(2, kInputs * kUnits);
  const std::vector<float> bias = RandomFloats(3, kUnits);
  const std::vector<ConstTensor> parameters{{weight, {kInputs, kUnits}}, {bias, {kUnits}}};
  std::vector<float> output(kRows * kUnits);
  layer.Forward({input, {kRows, kInputs}}, parameters, {output, {kRows, kUnits}});
  EXPECT_LT(MaxDifference(output, AffineReference(Doubles(input), Doubles(weight), Doubles(bias))),
            1e-5);

  // Of half the sum of the squares of the output, whose gradient by the output is the output.
  const auto half_squares = [](const std::vector<double>& values) {
    double sum = 0;
    for (const double value : values) sum += value * value / 2;
    return sum;
  };
  std::vector<float> weight_gradient(weight.size()), bias_gradient(bias.size());
  std::vector<float> input_gradient(input.size());
  const std::vector<Tensor> gradients{{weight_gradient, {kInputs, kUnits}},
                                      {bias_gradient, {kUnits}}};
  layer.Backward({.input = {input, {kRows, kInputs}},
                  .output_gradient = {output, {kRows, kUnits}},
                  .parameters = parameters,
                  .parameter_gradients = gradients,
                  .input_gradient = {input_gradient, {kRows, kInputs}}});
  const auto by_weight = [&](const auto& w) {
    return half_squares(AffineReference(Doubles(input), w, Doubles(bias)));
  };
  const auto by_bias = [&](const auto& b) {
    return half_squares(AffineReference(Doubles(input), Doubles(weight), b));
  };
  const auto by_input = [&](const auto& in) {
    return half_squares(AffineReference(in, Doubles(weight), Doubles(bias)));
  };
  EXPECT_LT(MaxDifference(weight_gradient, NumericGradient(by_weight, Doubles(weight))), 1e-5);
  EXPECT_LT(MaxDifference(bias_gradient, NumericGradient(by_bias, Doubles(bias))), 1e-5);
  EXPECT_LT(MaxDifference(input_gradient, NumericGradient(by_input, Doubles(input))), 1e-5);
}

}  // namespace
}  // namespace shardmill::nn
