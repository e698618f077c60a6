#include "server/row_index.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <set>
#include <span>
#include <utility>
#include <vector>

#include "common/rng.h"

namespace shardmill {
namespace {

using Keys = std::vector<uint64_t>;
using Rows = std::vector<uint32_t>;

Keys RandomKeys(size_t count, uint64_t seed) {
  Rng rng(seed);
  Keys keys(count);
  for (uint64_t& key : keys) key = rng.Next();
  return keys;
}

RowIndex IndexOf(const Keys& keys) {
  RowIndex index;
  for (uint32_t row = 0; row < keys.size(); ++row) index.Add(keys[row], row);
  return index;
}

Rows FoundAtOnce(const RowIndex& index, const Keys& keys) {
  Rows rows(keys.size(), RowIndex::kNone);
  index.FindMissing(keys, rows);
  return rows;
}

// What is turned by x ^= x >> shift.
uint64_t Unshifted(uint64_t x, int shift) {
  uint64_t out = x;
  for (int done = shift; done < 64; done += shift) out = x ^ (out >> shift);
  return out;
}

// By Newton: each step doubles the bits that are right.
uint64_t Inverse(uint64_t odd) {
  uint64_t inverse = odd;
  for (int i = 0; i < 6; ++i) inverse *= 2 - odd * inverse;
  return inverse;
}

// The key that Mix makes this hash of.
uint64_t Unmix(uint64_t hash) {
  uint64_t x = Unshifted(hash, 31) * Inverse(0x94d049bb133111ebULL);
  x = Unshifted(x, 27) * Inverse(0xbf58476d1ce4e5b9ULL);
  return Unshifted(x, 30) - 0x9e3779b97f4a7c15ULL;
}

TEST(RowIndexTest, FindsEachOfManyKeysAndNoOther) {
  const Keys keys = RandomKeys(300'000, 1);
  const RowIndex index = IndexOf(keys);
  EXPECT_EQ(index.size(), keys.size());
  const Rows rows = FoundAtOnce(index, keys);
  for (uint32_t row = 0; row < keys.size(); ++row) ASSERT_EQ(rows[row], row);
  EXPECT_EQ(FoundAtOnce(index, RandomKeys(100'000, 2)), Rows(100'000, RowIndex::kNone));
  EXPECT_EQ(index.Find(keys[77]), 77U);
  EXPECT_EQ(index.Find(5), RowIndex::kNone);
}

// An index of any size in between, as segments are split one after the other.
TEST(RowIndexTest, FindsAllKeysAfterEachOne) {
  const Keys keys = RandomKeys(20'000, 3);
  RowIndex index;
  for (uint32_t row = 0; row < keys.size(); ++row) {
    index.Add(keys[row], row);
    ASSERT_EQ(index.Find(keys[row]), row);
    ASSERT_EQ(index.Find(keys[row / 2]), row / 2);
    ASSERT_EQ(index.Find(keys[0]), 0U);
  }
}

// An empty place has the key 0 in it.
TEST(RowIndexTest, KnowsTheKeysZeroAndAllOnesOnlyOnceTheyAreThere) {
  RowIndex index = IndexOf({5});
  EXPECT_EQ(FoundAtOnce(index, {0, ~uint64_t{0}}), Rows(2, RowIndex::kNone));
  index.Add(0, 7);
  EXPECT_EQ(FoundAtOnce(index, {0, ~uint64_t{0}}), (Rows{7, RowIndex::kNone}));
  index.Add(~uint64_t{0}, RowIndex::kNone - 1);
  EXPECT_EQ(FoundAtOnce(index, {0, ~uint64_t{0}}), (Rows{7, RowIndex::kNone - 1}));
}

TEST(RowIndexTest, LooksForThoseAloneThatAreNotKnown) {
  const RowIndex index = IndexOf({10, 20, 30});
  Rows rows = {RowIndex::kNone, 55, RowIndex::kNone, RowIndex::kNone};
  index.FindMissing(Keys{30, 10, 40, 20}, rows);
  EXPECT_EQ(rows, (Rows{2, 55, RowIndex::kNone, 1}));
}

TEST(RowIndexTest, FindsEachOfManyKeysThatWereChosenToCollide) {
  Keys keys;
  for (uint64_t i = 0; i < 12'000; ++i) keys.push_back(Unmix((i << 44) | 0x12345));
  ASSERT_EQ(Mix(keys[3]) & 0xfffff, 0x12345U);
  const RowIndex index = IndexOf(keys);
  const Rows rows = FoundAtOnce(index, keys);
  for (uint32_t row = 0; row < keys.size(); ++row) ASSERT_EQ(rows[row], row);
  EXPECT_EQ(index.Find(Unmix((uint64_t{12'000} << 44) | 0x12345)), RowIndex::kNone);
}

// So that no call waits for growth: a few thousand keys of one segment at most, and of those no
// more than a few for each that was added.
TEST(RowIndexTest, MovesFewKeysAtATimeAsItGrows) {
  constexpr uint32_t kKeys = 1'000'000;
  constexpr uint64_t kMovedMax = 10'240;
  Rng rng(4);
  RowIndex index;
  uint64_t most = 0;
  uint64_t most_of_many = 0;
  for (uint32_t row = 0, many = 0; row < kKeys; many = row) {
    const uint64_t before_many = index.moved();
    for (; row < kKeys && row < many + 65'536; ++row) {
      const uint64_t before = index.moved();
      index.Add(rng.Next(), row);
      most = std::max(most, index.moved() - before);
    }
    most_of_many = std::max(most_of_many, index.moved() - before_many);
  }
  EXPECT_GT(index.moved(), kKeys / 2);
  EXPECT_LE(most, kMovedMax);
  EXPECT_LE(most_of_many, 3 * 65'536U);
}

TEST(RowIndexTest, VisitsEachKeyOnce) {
  const Keys keys = RandomKeys(30'000, 5);
  std::set<std::pair<uint64_t, uint32_t>> expected;
  for (uint32_t row = 0; row < keys.size(); ++row) expected.emplace(keys[row], row);
  uint64_t visits = 0;
  IndexOf(keys).ForEach([&](uint64_t key, uint32_t row) {
    ++visits;
    EXPECT_TRUE(expected.contains({key, row}));
  });
  EXPECT_EQ(visits, keys.size());
}

}  // namespace
}  // namespace shardmill
