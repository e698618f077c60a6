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

TEST(MatrixTest, SeesOneMomentOfASequenceAndSomeOfItsColumns) {
  std::vector<float> floats{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
  const Tensor sequence(floats, {2, 3, 2});
  const Matrix moment(sequence.data() + 2, 2, 2, 6);
  EXPECT_EQ(moment.row(1)[0], 8);
  EXPECT_EQ(moment.Columns(1, 1).row(1)[0], 9);
  EXPECT_EQ(Matrix(sequence).rows(), 6U);
  EXPECT_EQ(ConstMatrix(sequence).columns(), 2U);
}

TEST(TensorDeathTest, RefusesAShapeOfAnotherSize) {
  std::vector<float> floats(5);
  EXPECT_DEATH(Tensor(floats, {2, 3}), "does not hold");
}

}  // namespace
}  // namespace shardmill::nn
