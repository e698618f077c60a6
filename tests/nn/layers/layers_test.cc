#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "tests/nn/gradient_check.h"
#include "tests/nn/layer_check.h"

namespace shardmill::nn {
namespace {

ValueType Floats(const Shape& row) { return {ValueKind::kFloats, row}; }

std::vector<double> Applied(const LayerSpec& spec, const std::vector<float>& in) {
  LayerCheck check(spec, {Floats({in.size()})}, 1);
  check.inputs()[0] = in;
  check.Forward();
  return Doubles(check.output());
}

std::string WordsOn(const LayerSpec& spec, const std::vector<ValueType>& inputs) {
  const LayerResult layer = MakeLayer(spec, inputs);
  return layer.ok() ? "" : layer.error().message;
}

TEST(AffineTest, TellsItsOutputAndItsParameters) {
  LayerCheck check({"affine", 10}, {Floats({784})}, 1);
  const Layer& layer = check.layer();
  EXPECT_EQ(layer.type(), "affine");
  EXPECT_EQ(layer.output(), Shape({10}));
  ASSERT_EQ(layer.parameters().size(), 2U);
  EXPECT_EQ(layer.parameters()[0].name, "weight");
  EXPECT_EQ(layer.parameters()[0].shape, Shape({784, 10}));
  EXPECT_EQ(layer.parameters()[1].name, "bias");
  EXPECT_EQ(layer.parameters()[1].shape, Shape({10}));
}

TEST(AffineTest, StartsWithWeightsWithinTheLimitOfGlorotAndWithoutBias) {
  LayerCheck check({"affine", 100}, {Floats({300})}, 1);
  const std::span<const ParameterInfo> parameters = check.layer().parameters();
  EXPECT_EQ(parameters[0].initial.kind, Initial::Kind::kUniform);
  EXPECT_FLOAT_EQ(parameters[0].initial.scale, std::sqrt(6.0F / 400));
  EXPECT_EQ(parameters[1].initial, Initial::Constant(0));
}

TEST(AffineTest, GivesWhatTheDefinitionGives) {
  LayerCheck check({"affine", 19}, {Floats({16})}, 17);
  check.Forward();
  const std::vector<double> want = AffineReference(
      Doubles(check.inputs()[0]), Doubles(check.parameters()[0]), Doubles(check.parameters()[1]));
  EXPECT_LT(MaxDifference(check.output(), want), 1e-5);
}

TEST(AffineTest, IsFrozenOrSlowedWhereTheJobSaysSo) {
  LayerCheck frozen({.type = "affine", .units = 2, .frozen = true}, {Floats({3})}, 1);
  EXPECT_EQ(frozen.layer().parameters()[0].rate, 0);
  LayerCheck slow({.type = "affine", .units = 2, .learning_rate = 0.5}, {Floats({3})}, 1);
  EXPECT_EQ(slow.layer().parameters()[1].rate, 0.5F);
}

TEST(ReshapeTest, SeesARowOfAnyShapeAsAnother) {
  LayerCheck flat({"flatten"}, {Floats({3, 28, 28})}, 1);
  EXPECT_EQ(flat.layer().output(), Shape({3 * 28 * 28}));
  EXPECT_TRUE(flat.layer().traits().view);
  LayerCheck shaped({.type = "reshape", .shape = "28x28x3"}, {Floats({3, 28, 28})}, 1);
  EXPECT_EQ(shaped.layer().output(), Shape({28, 28, 3}));
  EXPECT_EQ(WordsOn({.type = "reshape", .shape = "5x2"}, {Floats({9})}),
            "its input 9 is 9 numbers, which cannot be seen as 5x2");
  EXPECT_EQ(WordsOn({.type = "reshape", .shape = "3,3"}, {Floats({9})}),
            "its shape is \"3,3\"; write extents such as \"28x28x1\"");
}

TEST(ElementwiseTest, GivesWhatTheDefinitionsGive) {
  const std::vector<float> in{-2, -0.5F, 0, 0.5F, 3};
  const auto want = [&](double (*function)(double)) {
    std::vector<double> out;
    for (const float x : in) out.push_back(function(static_cast<double>(x)));
    return out;
  };
  const auto differs = [&](const LayerSpec& spec, double (*function)(double)) {
    const std::vector<double> got = Applied(spec, in);
    return MaxDifference(std::vector<float>(got.begin(), got.end()), want(function));
  };
  constexpr double kTolerance = 2e-6;
  EXPECT_LT(differs({"relu"}, [](double x) { return std::max(x, 0.0); }), kTolerance);
  EXPECT_LT(differs({"leaky_relu"}, [](double x) { return x > 0 ? x : 0.01 * x; }), kTolerance);
  EXPECT_LT(differs({"elu"}, [](double x) { return x > 0 ? x : std::expm1(x); }), kTolerance);
  EXPECT_LT(differs({"selu"},
                    [](double x) {
                      return 1.0507009873554805 * (x > 0 ? x : 1.6732632423543772 * std::expm1(x));
                    }),
            kTolerance);
  EXPECT_LT(differs({"gelu"}, [](double x) { return x * 0.5 * std::erfc(-x / std::sqrt(2.0)); }),
            kTolerance);
  EXPECT_LT(differs({"silu"}, [](double x) { return x / (1 + std::exp(-x)); }), kTolerance);
  EXPECT_LT(differs({"sigmoid"}, [](double x) { return 1 / (1 + std::exp(-x)); }), kTolerance);
  EXPECT_LT(differs({"tanh"}, [](double x) { return std::tanh(x); }), kTolerance);
}

TEST(ElementwiseTest, RefusesASlopeThatHidesTheSign) {
  EXPECT_EQ(WordsOn({.type = "leaky_relu", .slope = 0.0}, {Floats({2})}),
            "its slope must be above 0");
  EXPECT_EQ(WordsOn({.type = "relu", .slope = 0.5}, {Floats({2})}), "it takes no slope");
}

}  // namespace
}  // namespace shardmill::nn
