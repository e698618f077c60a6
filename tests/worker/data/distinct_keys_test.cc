#include "worker/data/distinct_keys.h"

#include <gtest/gtest.h>

#include "common/rng.h"

namespace shardmill {
namespace {

TEST(DistinctKeysTest, NamesEachKeyOnceInTheOrderOfItsFirstPlace) {
  DistinctKeys distinct;
  GatheredRows::Part part;
  part.keys = {70, 5, 70, 9, 5, 70};
  distinct.Apply(ColumnKind::kKeys, part);
  EXPECT_EQ(part.keys, (std::vector<uint64_t>{70, 5, 9}));
  EXPECT_EQ(part.ids, (std::vector<uint32_t>{0, 1, 0, 2, 1, 0}));
}

TEST(DistinctKeysTest, TakesIdsForKeysWhateverWasInThePartBefore) {
  DistinctKeys distinct;
  GatheredRows::Part part;
  part.keys = {1, 2, 3};  // Of the batch before.
  part.ids = {8, 8, 3};
  distinct.Apply(ColumnKind::kIds, part);
  EXPECT_EQ(part.keys, (std::vector<uint64_t>{8, 3}));
  EXPECT_EQ(part.ids, (std::vector<uint32_t>{0, 0, 1}));
}

TEST(DistinctKeysTest, KeepsNothingFromBatchToBatch) {
  DistinctKeys distinct;
  Rng rng(3);
  for (size_t batch = 0; batch < 50; ++batch) {
    GatheredRows::Part part;
    std::vector<uint64_t> keys;
    for (size_t i = 0; i < 7 * batch; ++i) keys.push_back(rng.Below(3 * batch) << 40U);
    part.keys = keys;
    distinct.Apply(ColumnKind::kKeys, part);
    ASSERT_EQ(part.ids.size(), keys.size());
    ASSERT_LE(part.keys.size(), 3 * batch);
    for (size_t i = 0; i < keys.size(); ++i) ASSERT_EQ(part.keys.at(part.ids[i]), keys[i]);
  }
}

}  // namespace
}  // namespace shardmill
