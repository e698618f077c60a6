#include "nn/tensor.h"

#include <gtest/gtest.h>

#include <vector>

namespace shardmill::nn {
namespace {

TEST(TensorTest, SeesFloatsOfOthersAsRows) {
  std::vector<float> floats{1, 2, 3, 4, 5, 6};
  const Tensor tensor(floats, {2, 3});
  EXPECT_EQ(tensor.rows(), 2U);
  EXPECT_EQ(tensor.row_size(), 3U);
  tensor.row(1)[0] = 7;
  EXPECT_EQ(floats[3], 7);
}

TEST(TensorTest, TakesAnotherShapeWithoutACopy) {
  std::vector<float> floats(12);
  const Tensor tensor(floats, {2, 2, 3});
  const ConstTensor flat = tensor.As({2, 6});
  EXPECT_EQ(flat.data(), floats.data());
  EXPECT_EQ(flat.row_size(), 6U);
}

TEST(TensorTest, StandsForNothingWhenMadeOfNothing) {
  EXPECT_TRUE(Tensor().empty());
  EXPECT_EQ(Tensor().size(), 0U);
}

TEST(TensorDeathTest, RefusesAShapeOfAnotherSize) {
  std::vector<float> floats(5);
  EXPECT_DEATH(Tensor(floats, {2, 3}), "does not hold");
}

}  // namespace
}  // namespace shardmill::nn
