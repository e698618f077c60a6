#include "client/bound_keys.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "common/rng.h"
#include "common/view.h"

namespace shardmill {
namespace {

constexpr uint64_t kManyBytes = 1 << 20;

// A sparse table cut at these buckets.
TablePlace Table(uint32_t dim, std::vector<uint64_t> cuts) {
  return {TableId{3}, {.name = "words", .size = 0, .initial = {}, .dim = dim}, std::move(cuts)};
}

FramePool& Frames() {
  static FramePool frames(FramePool::Memory::kPrivate);
  return frames;
}

TablePlace OnOneShard(uint32_t dim) { return Table(dim, {0, kBuckets}); }

std::vector<uint64_t> NamesOf(const BoundKeys::Piece& piece) {
  return {piece.keys.keys().begin(), piece.keys.keys().end()};
}

std::vector<float> FloatsOf(const Frame& frame) {
  return {frame.floats().begin(), frame.floats().end()};
}

// Five hundred keys, some of them named again and again.
std::vector<uint64_t> RandomKeys() {
  Rng rng(4);
  std::vector<uint64_t> keys(500);
  for (uint64_t& key : keys) key = rng.Chance(0.3) ? rng.Below(10) : rng.Next();
  return keys;
}

TEST(BoundKeysTest, SendsEachKeyOnceToTheShardThatOwnsItsBucket) {
  const TablePlace table = Table(2, {0, 1000, 1000, 3000, kBuckets});
  const std::vector<uint64_t> keys = RandomKeys();
  uint64_t next_id = 1;
  BoundKeys bound(table, keys, kManyBytes, Frames(), next_id);
  std::set<uint64_t> sent;
  std::vector<uint32_t> shards;
  for (const BoundKeys::Piece& piece : bound.pieces()) {
    shards.push_back(piece.shard.value);
    for (const uint64_t key : piece.keys.keys()) {
      EXPECT_TRUE(sent.insert(key).second) << key;
      EXPECT_GE(BucketOf(key), table.cuts[piece.shard.value]);
      EXPECT_LT(BucketOf(key), table.cuts[piece.shard.value + 1]);
    }
  }
  EXPECT_EQ(sent, std::set<uint64_t>(keys.begin(), keys.end()));
  // The second shard owns nothing.
  EXPECT_EQ(shards, (std::vector<uint32_t>{0, 2, 3}));
}

TEST(BoundKeysTest, KnowsEveryPlaceWhereAKeyWasNamed) {
  const std::vector<uint64_t> keys = RandomKeys();
  uint64_t next_id = 1;
  BoundKeys bound(Table(2, {0, 2000, kBuckets}), keys, 160, Frames(), next_id);
  std::vector<bool> seen(keys.size());
  for (const BoundKeys::Piece& piece : bound.pieces()) {
    const std::vector<uint64_t> names = NamesOf(piece);
    const auto see = [&](uint32_t row, uint32_t at) {
      ASSERT_LT(row, names.size());
      EXPECT_EQ(names[row], keys[at]);
      EXPECT_FALSE(seen[at]);
      seen[at] = true;
    };
    for (uint32_t row = 0; row < piece.rows(); ++row) see(row, piece.first[row]);
    for (const BoundKeys::Repeat& repeat : piece.repeats) see(repeat.row, repeat.at);
  }
  EXPECT_EQ(std::ranges::count(seen, true), static_cast<ptrdiff_t>(keys.size()));
  EXPECT_EQ(bound.count(), keys.size());
}

TEST(BoundKeysTest, CutsAListIntoPiecesOfTheSizeGiven) {
  std::vector<uint64_t> keys(10);
  for (uint64_t i = 0; i < keys.size(); ++i) keys[i] = 100 + i;
  uint64_t next_id = 1;
  // Four rows of three floats and a key are 80 bytes.
  BoundKeys bound(OnOneShard(3), keys, 90, Frames(), next_id);
  std::vector<uint32_t> rows;
  for (const BoundKeys::Piece& piece : bound.pieces()) rows.push_back(piece.rows());
  EXPECT_EQ(rows, (std::vector<uint32_t>{4, 4, 2}));
}

TEST(BoundKeysTest, PutsOneRowInAPieceWhereARowIsLargerThanAPiece) {
  uint64_t next_id = 1;
  BoundKeys bound(OnOneShard(100), std::vector<uint64_t>{1, 2, 3}, 8, Frames(), next_id);
  EXPECT_EQ(bound.pieces().size(), 3U);
  for (const BoundKeys::Piece& piece : bound.pieces()) EXPECT_EQ(piece.rows(), 1U);
}

TEST(BoundKeysTest, KeepsEqualKeysInOnePieceHoweverManyTheyAre) {
  uint64_t next_id = 1;
  BoundKeys bound(OnOneShard(1), std::vector<uint64_t>{7, 5, 7, 5, 7, 7, 9}, 24, Frames(), next_id);
  ASSERT_EQ(bound.pieces().size(), 2U);
  EXPECT_EQ(NamesOf(bound.pieces()[0]), (std::vector<uint64_t>{7, 5}));
  EXPECT_EQ(bound.pieces()[0].repeats.size(), 4U);
  EXPECT_EQ(NamesOf(bound.pieces()[1]), (std::vector<uint64_t>{9}));
}

TEST(BoundKeysTest, NamesItsPiecesFromANumberThatGoesOnCounting) {
  uint64_t next_id = 41;
  BoundKeys first(OnOneShard(1), std::vector<uint64_t>{1, 2, 3}, 24, Frames(), next_id);
  EXPECT_EQ(next_id, 43U);
  BoundKeys second(OnOneShard(1), std::vector<uint64_t>{1, 2, 3}, 24, Frames(), next_id);
  EXPECT_EQ(first.pieces()[0].id, 41U);
  EXPECT_EQ(first.pieces()[1].id, 42U);
  EXPECT_EQ(second.pieces()[0].id, 43U);
}

TEST(BoundKeysTest, HasNoPiecesForNoKeys) {
  uint64_t next_id = 1;
  BoundKeys bound(OnOneShard(4), {}, kManyBytes, Frames(), next_id);
  EXPECT_TRUE(bound.pieces().empty());
  EXPECT_EQ(bound.count(), 0U);
  EXPECT_EQ(next_id, 1U);
}

TEST(BoundKeysTest, BringsItsKeysUntilTheShardHasShownThatItHasThem) {
  uint64_t next_id = 8;
  BoundKeys bound(OnOneShard(1), std::vector<uint64_t>{1, 2}, kManyBytes, Frames(), next_id);
  BoundKeys::Piece& piece = bound.pieces()[0];
  EXPECT_EQ(piece.List().id, 8U);
  EXPECT_EQ(piece.List().keys.keys().size(), 2U);
  piece.known = true;
  EXPECT_EQ(piece.List().id, 8U);
  EXPECT_EQ(piece.List().keys.size(), 0U);
}

TEST(BoundKeysTest, SumsTheRowsOfEqualKeysWhenItGathers) {
  uint64_t next_id = 1;
  BoundKeys bound(OnOneShard(2), std::vector<uint64_t>{9, 5, 9, 7, 9}, kManyBytes, Frames(),
                  next_id);
  ASSERT_EQ(bound.pieces().size(), 1U);
  const BoundKeys::Piece& piece = bound.pieces()[0];
  ASSERT_EQ(NamesOf(piece), (std::vector<uint64_t>{9, 5, 7}));
  const std::vector<float> rows = {1, 10, 2, 20, 3, 30, 4, 40, 5, 50};
  EXPECT_EQ(FloatsOf(bound.Gather(piece, rows)), (std::vector<float>{9, 90, 2, 20, 4, 40}));
}

TEST(BoundKeysTest, CombinesTheRowsOfEqualKeysAsTheirTableDoes) {
  const auto gathered = [](UpdateRule rule) {
    TablePlace table = OnOneShard(2);
    table.spec.update = UpdateSettings{.rule = rule, .rate = {}};
    uint64_t next_id = 1;
    BoundKeys bound(table, std::vector<uint64_t>{9, 5, 9, 7, 9}, kManyBytes, Frames(), next_id);
    const std::vector<float> rows = {8, 10, 2, 20, -3, 30, 4, 40, 4, -10};
    return FloatsOf(bound.Gather(bound.pieces()[0], rows));
  };
  EXPECT_EQ(gathered(UpdateRule::kAdam), (std::vector<float>{9, 30, 2, 20, 4, 40}));
  EXPECT_EQ(gathered(UpdateRule::kAdd), (std::vector<float>{9, 30, 2, 20, 4, 40}));
  EXPECT_EQ(gathered(UpdateRule::kAssign), (std::vector<float>{4, -10, 2, 20, 4, 40}));
  EXPECT_EQ(gathered(UpdateRule::kMin), (std::vector<float>{-3, -10, 2, 20, 4, 40}));
  EXPECT_EQ(gathered(UpdateRule::kMax), (std::vector<float>{8, 30, 2, 20, 4, 40}));
  const std::vector<float> means = gathered(UpdateRule::kAverage);
  EXPECT_NEAR(means[0], 3, 1e-6);
  EXPECT_NEAR(means[1], 10, 1e-5);
}

TEST(BoundKeysTest, WritesARowToEachPlaceOfItsKeyWhenItScatters) {
  uint64_t next_id = 1;
  BoundKeys bound(OnOneShard(2), std::vector<uint64_t>{9, 5, 9, 7}, kManyBytes, Frames(), next_id);
  std::vector<float> rows(8);
  bound.Scatter(bound.pieces()[0], std::vector<float>{9, 90, 5, 50, 7, 70}, rows);
  EXPECT_EQ(rows, (std::vector<float>{9, 90, 5, 50, 9, 90, 7, 70}));
}

TEST(BoundKeysTest, WritesThePlacesOfItsPieceAloneWhenItScatters) {
  uint64_t next_id = 1;
  BoundKeys bound(OnOneShard(1), std::vector<uint64_t>{3, 1, 2}, 4, Frames(), next_id);
  ASSERT_EQ(bound.pieces().size(), 3U);
  std::vector<float> rows(3, -1.0F);
  bound.Scatter(bound.pieces()[1], std::vector<float>{2}, rows);
  EXPECT_EQ(rows, (std::vector<float>{-1, 2, -1}));
}

// Over all shards and pieces: the sums by key, worked out from the list alone.
TEST(BoundKeysTest, GathersAndScattersAWholeListInPieces) {
  const std::vector<uint64_t> keys = RandomKeys();
  uint64_t next_id = 1;
  BoundKeys bound(Table(3, {0, 700, 2900, kBuckets}), keys, 200, Frames(), next_id);
  Rng rng(5);
  std::vector<float> rows(3 * keys.size());
  std::map<uint64_t, std::vector<float>> sums;
  for (size_t i = 0; i < keys.size(); ++i) {
    std::vector<float>& sum = sums.try_emplace(keys[i], 3, 0.0F).first->second;
    for (size_t j = 0; j < 3; ++j) {
      rows[3 * i + j] = static_cast<float>(rng.Below(100));
      sum[j] += rows[3 * i + j];
    }
  }
  std::vector<float> out(rows.size(), -1.0F);
  for (const BoundKeys::Piece& piece : bound.pieces()) {
    EXPECT_LE(piece.rows(), 16U);
    const Frame gathered = bound.Gather(piece, rows);
    bound.Scatter(piece, gathered.floats(), out);
  }
  for (size_t i = 0; i < keys.size(); ++i) {
    const std::vector<float> row(&out[3 * i], &out[3 * i] + 3);
    EXPECT_EQ(row, sums.at(keys[i])) << i;
  }
}

}  // namespace
}  // namespace shardmill
