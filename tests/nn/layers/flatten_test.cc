#include "nn/layers/flatten.h"

#include <gtest/gtest.h>

#include <vector>

namespace shardmill::nn {
namespace {

TEST(FlattenTest, SeesARowOfAnyShapeAsOneVector) {
  const Flatten layer({3, 28, 28});
  EXPECT_EQ(layer.type(), "flatten");
  EXPECT_EQ(layer.output(), Shape({3 * 28 * 28}));
  EXPECT_TRUE(layer.IsView());
  EXPECT_TRUE(layer.parameters().empty());
}

TEST(FlattenTest, PassesNumbersOnInTheirOrderBothWays) {
  const Flatten layer({2, 2});
  const std::vector<float> input{1, 2, 3, 4, 5, 6, 7, 8};
  std::vector<float> output(8), back(8);
  layer.Forward({input, {2, 2, 2}}, {}, {output, {2, 4}});
  EXPECT_EQ(output, input);
  layer.Backward({.input = {input, {2, 2, 2}},
                  .output_gradient = {output, {2, 4}},
                  .parameters = {},
                  .parameter_gradients = {},
                  .input_gradient = {back, {2, 2, 2}}});
  EXPECT_EQ(back, input);
}

}  // namespace
}  // namespace shardmill::nn
