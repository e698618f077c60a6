#include "worker/data/batches.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace shardmill {
namespace {

// Row r holds the numbers r and r + 0.5, and the label r.
DataSet CountedRows(uint32_t rows) {
  DataSet data;
  data.rows = rows;
  data.row_size = 2;
  data.row_shape = {2};
  data.classes = rows;
  for (uint32_t row = 0; row < rows; ++row) {
    data.inputs.push_back(static_cast<float>(row));
    data.inputs.push_back(static_cast<float>(row) + 0.5F);
    data.labels.push_back(row);
  }
  return data;
}

std::vector<uint32_t> Epoch(Batches& batches, uint64_t epoch) {
  std::vector<uint32_t> rows;
  for (uint64_t step = 0; step < batches.steps_per_epoch(); ++step) {
    const Batch batch = batches.At(epoch, step);
    rows.insert(rows.end(), batch.labels.begin(), batch.labels.end());
  }
  return rows;
}

struct Sizes {
  uint32_t rows, workers, batch_rows;
};

class BatchesSizesTest : public testing::TestWithParam<Sizes> {};

TEST_P(BatchesSizesTest, GiveAllRanksTogetherEachRowOnceAnEpoch) {
  const Sizes sizes = GetParam();
  const DataSet data = CountedRows(sizes.rows);
  std::vector<int> seen(sizes.rows);
  for (uint32_t rank = 0; rank < sizes.workers; ++rank) {
    Batches batches(data, {7, rank, sizes.workers, sizes.batch_rows});
    const uint32_t part = (sizes.rows + sizes.workers - 1) / sizes.workers;
    EXPECT_EQ(batches.steps_per_epoch(), (part + sizes.batch_rows - 1) / sizes.batch_rows);
    for (uint64_t step = 0; step < batches.steps_per_epoch(); ++step) {
      const Batch batch = batches.At(3, step);
      ASSERT_LE(batch.rows, sizes.batch_rows);
      ASSERT_EQ(batch.labels.size(), batch.rows);
      ASSERT_EQ(batch.inputs.size(), batch.rows * 2);
      for (uint32_t row = 0; row < batch.rows; ++row) {
        ++seen[batch.labels[row]];
        EXPECT_EQ(batch.inputs[2 * row], static_cast<float>(batch.labels[row]));
        EXPECT_EQ(batch.inputs[2 * row + 1], static_cast<float>(batch.labels[row]) + 0.5F);
      }
    }
  }
  EXPECT_EQ(seen, std::vector<int>(sizes.rows, 1));
}

INSTANTIATE_TEST_SUITE_P(Sizes, BatchesSizesTest,
                         testing::Values(Sizes{1, 1, 1}, Sizes{12, 3, 2}, Sizes{13, 3, 2},
                                         Sizes{101, 7, 8}, Sizes{5, 2, 2}, Sizes{3, 5, 4},
                                         Sizes{64, 1, 100}));

TEST(BatchesTest, AreEmptyForARankThatHasNothingLeft) {
  const DataSet data = CountedRows(5);
  Batches batches(data, {7, 0, 2, 2});
  ASSERT_EQ(batches.steps_per_epoch(), 2U);
  EXPECT_EQ(batches.At(0, 0).rows, 2U);
  EXPECT_EQ(batches.At(0, 1).rows, 0U);
  EXPECT_EQ(batches.At(0, 1).row_size, 2U);
}

TEST(BatchesTest, ComeInAnotherOrderInAnotherEpochAndUnderAnotherSeed) {
  const DataSet data = CountedRows(50);
  Batches batches(data, {7, 0, 1, 8});
  Batches other_seed(data, {8, 0, 1, 8});
  EXPECT_NE(Epoch(batches, 0), Epoch(batches, 1));
  EXPECT_NE(Epoch(batches, 0), Epoch(other_seed, 0));
  EXPECT_NE(Epoch(batches, 0), data.labels);
}

TEST(BatchesTest, AreTheSameForTheSameArgumentsWhateverCameBefore) {
  const DataSet data = CountedRows(50);
  Batches one(data, {7, 1, 3, 8});
  Batches two(data, {7, 1, 3, 8});
  const std::vector<uint32_t> want = Epoch(one, 4);
  two.At(9, 1);
  two.At(0, 0);
  EXPECT_EQ(Epoch(two, 4), want);
  const Batch batch = two.At(4, 2);
  EXPECT_TRUE(std::equal(batch.labels.begin(), batch.labels.end(), want.begin() + 16));
}

}  // namespace
}  // namespace shardmill
