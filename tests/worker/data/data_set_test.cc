#include "worker/data/data_set.h"

#include <gtest/gtest.h>

namespace shardmill {
namespace {

TEST(DataSetTest, HasTheRowsAndTheirLabels) {
  const auto data = MakeDataSet({1, 2, 3, 4, 5, 6}, {0, 1, 0}, {2}, 2);
  ASSERT_EQ(data->rows(), 3U);
  EXPECT_EQ(data->columns()[0].row_size(), 2U);
  EXPECT_EQ(data->column(0).floats[3], 4.0F);
  EXPECT_EQ(data->column(1).ids[1], 1U);
  EXPECT_EQ(data->target().ids_end, 2U);
}

}  // namespace
}  // namespace shardmill
