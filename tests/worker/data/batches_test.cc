#include "worker/data/batches.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <iterator>
#include <set>
#include <tuple>
#include <vector>

#include "tests/worker/data/data_set.h"

namespace shardmill {
namespace {

// Row r holds the numbers r and r + 0.5, and the label r.
std::shared_ptr<const SampleStore> CountedRows(uint32_t rows) {
  std::vector<float> inputs;
  std::vector<uint32_t> labels;
  for (uint32_t row = 0; row < rows; ++row) {
    inputs.push_back(static_cast<float>(row));
    inputs.push_back(static_cast<float>(row) + 0.5F);
    labels.push_back(row);
  }
  return MakeDataSet(inputs, labels, {2}, rows);
}

using Rows = std::vector<uint32_t>;

Rows Epoch(Batches& batches, uint64_t epoch) {
  Rows rows;
  for (uint64_t step = 0; step < batches.steps_per_epoch(); ++step) {
    const Batch batch = batches.At(epoch, step);
    rows.insert(rows.end(), batch.labels.begin(), batch.labels.end());
  }
  return rows;
}

Rows LabelsOf(const SampleStore& data) {
  return {data.column(1).ids.begin(), data.column(1).ids.end()};
}

Rows Sorted(Rows rows) {
  std::sort(rows.begin(), rows.end());
  return rows;
}

// In each epoch the plan's rank has these rows and no others.
void ExpectOwned(uint32_t rows, const BatchPlan& plan, const Rows& owned) {
  const std::shared_ptr<const SampleStore> data = CountedRows(rows);
  Batches batches(*data, plan);
  EXPECT_EQ(batches.rows_per_epoch(), owned.size());
  for (uint64_t epoch = 0; epoch < 4; ++epoch) {
    EXPECT_EQ(Sorted(Epoch(batches, epoch)), owned) << "rank " << plan.rank << " epoch " << epoch;
  }
}

struct Sizes {
  uint32_t rows, workers, batch_rows;
};

constexpr std::array kDisjoint = {DataScheme::kContiguous, DataScheme::kRoundRobin,
                                  DataScheme::kRandom};
constexpr std::array kSchemes = {DataScheme::kContiguous, DataScheme::kRoundRobin,
                                 DataScheme::kRandom, DataScheme::kOverlap};

class BatchesSizesTest : public testing::TestWithParam<std::tuple<DataScheme, Sizes>> {};

TEST_P(BatchesSizesTest, GiveAllRanksTogetherEachRowOnceAnEpoch) {
  const auto [scheme, sizes] = GetParam();
  const std::shared_ptr<const SampleStore> data = CountedRows(sizes.rows);
  std::vector<int> seen(sizes.rows);
  for (uint32_t rank = 0; rank < sizes.workers; ++rank) {
    Batches batches(*data, {7, rank, sizes.workers, sizes.batch_rows, scheme});
    const uint32_t part = (sizes.rows + sizes.workers - 1) / sizes.workers;
    EXPECT_EQ(batches.steps_per_epoch(), (part + sizes.batch_rows - 1) / sizes.batch_rows);
    for (uint64_t step = 0; step < batches.steps_per_epoch(); ++step) {
      const Batch batch = batches.At(3, step);
      ASSERT_LE(batch.rows, sizes.batch_rows);
      ASSERT_EQ(batch.labels.size(), batch.rows);
      ASSERT_EQ(batch.inputs[0].floats.size(), batch.rows * 2);
      for (uint32_t row = 0; row < batch.rows; ++row) {
        ++seen[batch.labels[row]];
        EXPECT_EQ(batch.inputs[0].floats[2 * row], static_cast<float>(batch.labels[row]));
        EXPECT_EQ(batch.inputs[0].floats[2 * row + 1],
                  static_cast<float>(batch.labels[row]) + 0.5F);
      }
    }
  }
  EXPECT_EQ(seen, std::vector<int>(sizes.rows, 1));
}

INSTANTIATE_TEST_SUITE_P(Sizes, BatchesSizesTest,
                         testing::Combine(testing::ValuesIn(kDisjoint),
                                          testing::Values(Sizes{1, 1, 1}, Sizes{12, 3, 2},
                                                          Sizes{13, 3, 2}, Sizes{101, 7, 8},
                                                          Sizes{5, 2, 2}, Sizes{3, 5, 4},
                                                          Sizes{64, 1, 100})));

// 11 rows over 3 ranks do not come out even; 2 rows leave a rank without any.
TEST(BatchesTest, GiveARankItsPieceOfTheFileForGood) {
  const Rows pieces[] = {{0, 1, 2}, {3, 4, 5, 6}, {7, 8, 9, 10}};
  const Rows few[] = {{}, {0}, {1}};
  for (uint32_t rank = 0; rank < 3; ++rank) {
    ExpectOwned(11, {7, rank, 3, 2, DataScheme::kContiguous}, pieces[rank]);
    ExpectOwned(2, {7, rank, 3, 2, DataScheme::kContiguous}, few[rank]);
  }
}

TEST(BatchesTest, GiveARankEveryRowOfItsRoundForGood) {
  const Rows rounds[] = {{0, 3, 6, 9}, {1, 4, 7, 10}, {2, 5, 8}};
  const Rows few[] = {{0}, {1}, {}};
  for (uint32_t rank = 0; rank < 3; ++rank) {
    ExpectOwned(11, {7, rank, 3, 2, DataScheme::kRoundRobin}, rounds[rank]);
    ExpectOwned(2, {7, rank, 3, 2, DataScheme::kRoundRobin}, few[rank]);
  }
}

TEST(BatchesTest, GiveEachRankAllRowsInAnOrderOfItsOwnWhereTheyOverlap) {
  const std::shared_ptr<const SampleStore> data = CountedRows(50);
  std::set<Rows> orders;
  for (uint32_t rank = 0; rank < 3; ++rank) {
    const BatchPlan plan{7, rank, 3, 8, DataScheme::kOverlap};
    ExpectOwned(50, plan, LabelsOf(*data));
    Batches batches(*data, plan);
    EXPECT_EQ(batches.steps_per_epoch(), 7U);
    for (uint64_t epoch = 0; epoch < 3; ++epoch) orders.insert(Epoch(batches, epoch));
  }
  EXPECT_EQ(orders.size(), 9U);
}

// Written down before there were other schemes: a job of that time must train as it did.
TEST(BatchesTest, AreDealtAtRandomAsTheyWereFromTheFirstDay) {
  const std::shared_ptr<const SampleStore> data = CountedRows(11);
  Batches first(*data, {7, 0, 2, 3});
  Batches second(*data, {7, 1, 2, 3});
  EXPECT_EQ(Epoch(first, 4), (Rows{4, 5, 2, 0, 9}));
  EXPECT_EQ(Epoch(second, 4), (Rows{7, 10, 3, 6, 8, 1}));
}

TEST(BatchesTest, AreDealtToOtherRanksAnewEachEpochAtRandom) {
  const std::shared_ptr<const SampleStore> data = CountedRows(50);
  Batches batches(*data, {7, 1, 3, 8});
  EXPECT_NE(Sorted(Epoch(batches, 0)), Sorted(Epoch(batches, 1)));
}

TEST(BatchesTest, AreEmptyForARankThatHasNothingLeft) {
  const std::shared_ptr<const SampleStore> data = CountedRows(5);
  Batches batches(*data, {7, 0, 2, 2});
  ASSERT_EQ(batches.steps_per_epoch(), 2U);
  EXPECT_EQ(batches.At(0, 0).rows, 2U);
  EXPECT_EQ(batches.At(0, 1).rows, 0U);
  EXPECT_EQ(batches.At(0, 1).inputs.size(), 1U);
}

TEST(BatchesTest, ComeInAnotherOrderInAnotherEpochAndUnderAnotherSeed) {
  const std::shared_ptr<const SampleStore> data = CountedRows(50);
  for (const DataScheme scheme : kSchemes) {
    Batches batches(*data, {7, 0, 1, 8, scheme});
    Batches other_seed(*data, {8, 0, 1, 8, scheme});
    EXPECT_NE(Epoch(batches, 0), Epoch(batches, 1));
    EXPECT_NE(Epoch(batches, 0), Epoch(other_seed, 0));
    EXPECT_NE(Epoch(batches, 0), LabelsOf(*data));
  }
}

TEST(BatchesTest, AreTheSameForTheSameArgumentsWhateverCameBefore) {
  const std::shared_ptr<const SampleStore> data = CountedRows(50);
  for (const DataScheme scheme : kSchemes) {
    Batches one(*data, {7, 1, 3, 8, scheme});
    Batches two(*data, {7, 1, 3, 8, scheme});
    const Rows want = Epoch(one, 4);
    two.At(9, 1);
    two.At(0, 0);
    EXPECT_EQ(Epoch(two, 4), want);
    const Batch batch = two.At(4, 2);
    EXPECT_TRUE(std::equal(batch.labels.begin(), batch.labels.end(), want.begin() + 16));
  }
}

TEST(BatchesTest, GivesEachBatchAChanceOfItsOwnAndTheSameOneAgain) {
  const std::shared_ptr<const SampleStore> data = CountedRows(12);
  std::set<uint64_t> chances;
  for (const uint64_t seed : {1, 2}) {
    for (const uint32_t rank : {0U, 1U}) {
      const BatchPlan plan{.seed = seed, .rank = rank, .workers = 2, .batch_rows = 2};
      Batches batches(*data, plan);
      Batches again(*data, plan);
      for (const uint64_t epoch : {0, 1}) {
        for (const uint64_t step : {0, 1, 2}) {
          const uint64_t chance = batches.At(epoch, step).chance;
          chances.insert(chance);
          EXPECT_EQ(again.At(epoch, step).chance, chance);
        }
      }
    }
  }
  EXPECT_EQ(chances.size(), 24U);
}

// The labels of a batch are the rows' numbers.
TEST(BatchesTest, HoldTheSameWhereTheyAreReadAhead) {
  const std::shared_ptr<const SampleStore> data = CountedRows(50);
  const BatchPlan plan{.seed = 3, .rank = 1, .workers = 2, .batch_rows = 7};
  Batches plain(*data, plan);
  Batches ahead(*data, plan, {}, 2);
  const std::vector<std::pair<uint64_t, uint64_t>> places{{0, 0}, {0, 1}, {0, 2}, {0, 3}, {1, 0},
                                                          {1, 1}, {0, 2}, {0, 3}, {5, 0}, {5, 0}};
  for (const auto& [epoch, step] : places) {
    const Batch one = plain.At(epoch, step);
    const Batch other = ahead.At(epoch, step);
    EXPECT_EQ(Rows(other.labels.begin(), other.labels.end()),
              Rows(one.labels.begin(), one.labels.end()));
    EXPECT_EQ(other.chance, one.chance);
    EXPECT_EQ(other.inputs[0].floats.size(), one.inputs[0].floats.size());
  }
}

size_t Threads() {
  const std::filesystem::directory_iterator tasks("/proc/self/task");
  return static_cast<size_t>(std::distance(begin(tasks), end(tasks)));
}

TEST(BatchesTest, HaveAThreadOnlyWhereTheyReadAhead) {
  const std::shared_ptr<const SampleStore> data = CountedRows(50);
  Batches plain(*data, {.batch_rows = 5});
  Batches ahead(*data, {.batch_rows = 5}, {}, 1);
  const size_t before = Threads();
  plain.At(0, 0);
  EXPECT_EQ(Threads(), before);
  ahead.At(0, 0);
  EXPECT_EQ(Threads(), before + 1);
}

TEST(BatchesTest, HaveTheKeysOfTheInputsThatNameRows) {
  const std::vector<ParameterSpec> tables{{.name = "wide", .dim = 1, .input = 1},
                                          {.name = "bias", .size = 1},
                                          {.name = "deep", .dim = 4, .input = 1}};
  EXPECT_EQ(KeyedInputs(tables), std::vector<size_t>{1});
}

TEST(BatchPartTest, CutsEveryInputAndLeavesTheKeys) {
  const std::vector<float> numbers{0, 1, 2, 3, 4, 5}, values{7, 8, 9}, weights{10, 11, 12, 13};
  const std::vector<uint32_t> ids{0, 1, 1}, sparse{4, 5, 6, 7};
  const std::vector<uint64_t> keys{30, 31}, ends{1, 1, 4};
  const std::vector<ColumnView> inputs{{.floats = numbers},
                                       {.ids = ids, .keys = keys},
                                       {.floats = weights, .ids = sparse, .ends = ends}};
  const Batch whole{.inputs = inputs, .values = values, .rows = 3, .chance = 100};
  BatchPart part;
  const Batch last = part.Of(whole, 1, 5);
  EXPECT_EQ(last.rows, 2U);
  EXPECT_EQ(last.inputs[0].floats.front(), 2.0F);
  EXPECT_EQ(last.inputs[0].floats.size(), 4U);
  EXPECT_EQ(last.inputs[1].ids.size(), 2U);
  EXPECT_EQ(last.inputs[1].keys.size(), 2U);
  EXPECT_EQ(last.inputs[2].ends[0], 0U);
  EXPECT_EQ(last.inputs[2].ends[1], 3U);
  EXPECT_EQ(last.inputs[2].ids.front(), 5U);
  EXPECT_EQ(last.inputs[2].floats.front(), 11.0F);
  EXPECT_EQ(last.values.front(), 8.0F);
  EXPECT_EQ(part.Of(whole, 0, 3).chance, whole.chance);
}

}  // namespace
}  // namespace shardmill
