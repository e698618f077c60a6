#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "nn/ops/cpu/backend.h"
#include "tests/nn/gradient_check.h"

namespace shardmill::nn {
namespace {

// Floats of about 1, sums of fewer than 800 products: their rounding stays below this.
constexpr double kTolerance = 2e-4;

struct Sizes {
  uint64_t rows, inputs, units;
};

// Numbers for one affine layer, and what must come of them.
struct Case {
  explicit Case(const Sizes& sizes)
      : input_shape{sizes.rows, sizes.inputs},
        weight_shape{sizes.inputs, sizes.units},
        output_shape{sizes.rows, sizes.units},
        input(RandomFloats(1, input_shape.size())),
        weight(RandomFloats(2, weight_shape.size())),
        bias(RandomFloats(3, sizes.units)),
        output_gradient(RandomFloats(4, output_shape.size())) {}

  // The sum of the outputs, weighed so that its gradient by them is output_gradient.
  double Sum(const std::vector<double>& in, const std::vector<double>& w,
             const std::vector<double>& b) const {
    const std::vector<double> output = AffineReference(in, w, b);
    double sum = 0;
    for (size_t i = 0; i < output.size(); ++i) {
      sum += output[i] * static_cast<double>(output_gradient[i]);
    }
    return sum;
  }

  Shape input_shape, weight_shape, output_shape;
  std::vector<float> input, weight, bias, output_gradient;
};

class AffineOpTest : public testing::TestWithParam<Sizes> {};

TEST_P(AffineOpTest, GivesWhatTheDefinitionGives) {
  const Case c(GetParam());
  std::vector<float> output(c.output_shape.size(), 99.0F);
  CpuBackend().Affine(ConstTensor(c.input, c.input_shape), {c.weight, c.weight_shape},
                      {c.bias, {c.bias.size()}}, {}, Tensor(output, c.output_shape));
  const std::vector<double> want =
      AffineReference(Doubles(c.input), Doubles(c.weight), Doubles(c.bias));
  EXPECT_LT(MaxDifference(output, want), kTolerance);
}

TEST_P(AffineOpTest, HasTheGradientsOfFiniteDifferences) {
  const Case c(GetParam());
  const std::vector<double> input = Doubles(c.input);
  const std::vector<double> weight = Doubles(c.weight);
  const std::vector<double> bias = Doubles(c.bias);
  std::vector<float> weight_gradient(weight.size(), 99.0F);
  std::vector<float> bias_gradient(bias.size(), 99.0F);
  std::vector<float> input_gradient(input.size(), 99.0F);
  const ConstTensor output_gradient(c.output_gradient, c.output_shape);
  CpuBackend backend;
  backend.AffineParameterGradients(ConstTensor(c.input, c.input_shape), output_gradient,
                                   {weight_gradient, c.weight_shape},
                                   {bias_gradient, {bias_gradient.size()}});
  backend.AffineInputGradient(output_gradient, {c.weight, c.weight_shape},
                              Tensor(input_gradient, c.input_shape));
  EXPECT_LT(
      MaxDifference(weight_gradient,
                    NumericGradient([&](const auto& w) { return c.Sum(input, w, bias); }, weight)),
      kTolerance);
  EXPECT_LT(
      MaxDifference(bias_gradient,
                    NumericGradient([&](const auto& b) { return c.Sum(input, weight, b); }, bias)),
      kTolerance);
  EXPECT_LT(MaxDifference(
                input_gradient,
                NumericGradient([&](const auto& in) { return c.Sum(in, weight, bias); }, input)),
            kTolerance);
}

INSTANTIATE_TEST_SUITE_P(Sizes, AffineOpTest,
                         testing::Values(Sizes{1, 1, 1}, Sizes{5, 7, 3}, Sizes{2, 33, 10},
                                         Sizes{17, 16, 19}, Sizes{3, 40, 1}));

TEST(AffineOpBitsTest, AreTheSameWhereverTheTensorsLie) {
  const Case c({128, 784, 10});
  const auto run = [&](size_t offset) {
    std::vector<float> memory(offset + c.input.size());
    std::copy(c.input.begin(), c.input.end(), memory.begin() + static_cast<ptrdiff_t>(offset));
    const ConstTensor input(std::span<const float>(memory).subspan(offset), c.input_shape);
    std::vector<float> result(offset + c.output_shape.size() + c.weight_shape.size());
    const std::span<float> output = std::span(result).subspan(offset, c.output_shape.size());
    const std::span<float> weight_gradient =
        std::span(result).subspan(offset + output.size(), c.weight_shape.size());
    std::vector<float> bias_gradient(c.bias.size());
    CpuBackend backend;
    backend.Affine(input, {c.weight, c.weight_shape}, {c.bias, {c.bias.size()}}, {},
                   Tensor(output, c.output_shape));
    backend.AffineParameterGradients(input, ConstTensor(c.output_gradient, c.output_shape),
                                     {weight_gradient, c.weight_shape},
                                     {bias_gradient, {bias_gradient.size()}});
    result.erase(result.begin(), result.begin() + static_cast<ptrdiff_t>(offset));
    return result;
  };
  const std::vector<float> want = run(0);
  for (size_t offset = 0; offset < 20; ++offset) EXPECT_EQ(run(offset), want) << offset;
}

}  // namespace
}  // namespace shardmill::nn
