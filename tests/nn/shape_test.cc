#include "nn/shape.h"

#include <gtest/gtest.h>

#include <vector>

namespace shardmill::nn {
namespace {

TEST(ShapeTest, MultipliesItsExtents) {
  const Shape shape{3, 28, 28};
  EXPECT_EQ(shape.dims(), 3U);
  EXPECT_EQ(shape.dim(2), 28U);
  EXPECT_EQ(shape.size(), 3U * 28 * 28);
  EXPECT_EQ(shape.ToString(), "3x28x28");
}

TEST(ShapeTest, PutsRowsBeforeTheOtherExtents) {
  EXPECT_EQ(Shape({28, 28}).Rows(5), Shape({5, 28, 28}));
  EXPECT_EQ(Shape({28, 28}).Rows(0).size(), 0U);
}

TEST(ShapeTest, RefusesExtentsThatNoTensorHas) {
  const std::vector<std::vector<uint64_t>> wrong{
      {}, {1, 1, 1, 1, 1}, {2, 0}, {uint64_t{1} << 41}, {uint64_t{1} << 33, uint64_t{1} << 33}};
  for (const std::vector<uint64_t>& dims : wrong) {
    const Result<Shape> shape = Shape::Make(dims);
    ASSERT_FALSE(shape.ok()) << dims.size();
    EXPECT_EQ(shape.error().code, ErrorCode::kBadUsage);
    EXPECT_FALSE(shape.error().message.empty());
  }
}

TEST(ShapeTest, TakesTheLargestSizeThereIs) {
  const std::vector<uint64_t> dims{uint64_t{1} << 20, uint64_t{1} << 20};
  const Result<Shape> shape = Shape::Make(dims);
  ASSERT_TRUE(shape.ok());
  EXPECT_EQ(shape.value().size(), Shape::kSizeMax);
}

}  // namespace
}  // namespace shardmill::nn
