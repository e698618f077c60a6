#include "worker/data/data_set.h"

#include <gtest/gtest.h>

namespace shardmill {
namespace {

TEST(DataSetTest, GivesPartsInTheOrderOfTheFileWithoutACopy) {
  const DataSet data = MakeDataSet({1, 2, 3, 4, 5, 6}, {0, 1, 0}, {2}, 2);
  const Batch batch = data.Slice(1, 5);
  EXPECT_EQ(batch.rows, 2U);
  EXPECT_EQ(batch.row_size, 2U);
  EXPECT_EQ(batch.labels.data(), data.labels.data() + 1);
  EXPECT_EQ(batch.labels.size(), 2U);
  EXPECT_EQ(batch.inputs.data(), data.inputs.data() + 2);
  EXPECT_EQ(batch.inputs.size(), 4U);
  EXPECT_EQ(data.Slice(0, 1).rows, 1U);
  EXPECT_EQ(data.Slice(3, 5).rows, 0U);
}

}  // namespace
}  // namespace shardmill
