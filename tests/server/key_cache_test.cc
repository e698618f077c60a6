#include "server/key_cache.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "common/frame.h"
#include "common/frame_pool.h"
#include "common/messages.h"

namespace shardmill {
namespace {

constexpr WorkerId kRank{4};
constexpr WorkerId kOtherRank{5};
constexpr TableId kTable{1};
constexpr TableId kOtherTable{2};

FramePool& Frames() {
  static FramePool frames(FramePool::Memory::kPrivate);
  return frames;
}

KeyList Brought(uint64_t id, const std::vector<uint64_t>& keys) {
  return {id, Frame::CopyOf(keys)};
}

KeyList Named(uint64_t id) { return {id, Frame()}; }

std::vector<uint64_t> KeysOf(const std::shared_ptr<KeyRows>& rows) {
  if (rows == nullptr) return {};
  return {rows->keys.keys().begin(), rows->keys.keys().end()};
}

TEST(KeyCacheTest, RemembersAListThatWasBrought) {
  KeyCache cache(4, 100, Frames());
  const auto brought = cache.Get(kRank, kTable, Brought(7, {30, 10, 20}));
  ASSERT_NE(brought, nullptr);
  EXPECT_EQ(brought->table, kTable);
  EXPECT_EQ(KeysOf(brought), (std::vector<uint64_t>{30, 10, 20}));
  EXPECT_EQ(brought->rows, std::vector<uint32_t>(3, RowIndex::kNone));
  EXPECT_EQ(cache.Get(kRank, kTable, Named(7)), brought);
}

TEST(KeyCacheTest, KeepsTheRowsFoundWhenAListIsBroughtAgain) {
  KeyCache cache(4, 100, Frames());
  cache.Get(kRank, kTable, Brought(7, {30, 10}))->rows[1] = 5;
  const auto again = cache.Get(kRank, kTable, Brought(7, {30, 10}));
  ASSERT_NE(again, nullptr);
  EXPECT_EQ(again->rows[1], 5U);
}

TEST(KeyCacheTest, KnowsNoListThatWasOnlyNamed) {
  KeyCache cache(4, 100, Frames());
  EXPECT_EQ(cache.Get(kRank, kTable, Named(7)), nullptr);
  EXPECT_EQ(cache.Get(kRank, kTable, Named(7)), nullptr);
}

TEST(KeyCacheTest, FindsAListForItsRankAlone) {
  KeyCache cache(4, 100, Frames());
  const auto mine = cache.Get(kRank, kTable, Brought(7, {1}));
  EXPECT_EQ(cache.Get(kOtherRank, kTable, Named(7)), nullptr);
  const auto other = cache.Get(kOtherRank, kTable, Brought(7, {2}));
  EXPECT_EQ(KeysOf(cache.Get(kRank, kTable, Named(7))), (std::vector<uint64_t>{1}));
  EXPECT_EQ(KeysOf(cache.Get(kOtherRank, kTable, Named(7))), (std::vector<uint64_t>{2}));
}

TEST(KeyCacheTest, FindsAListForItsTableAlone) {
  KeyCache cache(4, 100, Frames());
  cache.Get(kRank, kTable, Brought(7, {1}));
  EXPECT_EQ(cache.Get(kRank, kOtherTable, Named(7)), nullptr);
  EXPECT_NE(cache.Get(kRank, kTable, Named(7)), nullptr);
}

TEST(KeyCacheTest, ForgetsTheListThatWasNotUsedForLongest) {
  KeyCache cache(3, 100, Frames());
  for (const uint64_t id : {1, 2, 3}) cache.Get(kRank, kTable, Brought(id, {id}));
  EXPECT_NE(cache.Get(kRank, kTable, Named(1)), nullptr);
  cache.Get(kRank, kTable, Brought(4, {4}));
  EXPECT_EQ(cache.Get(kRank, kTable, Named(2)), nullptr);
  for (const uint64_t id : {1, 3, 4}) {
    EXPECT_EQ(KeysOf(cache.Get(kRank, kTable, Named(id))), (std::vector<uint64_t>{id}));
  }
}

TEST(KeyCacheTest, ForgetsAsManyListsAsTheirKeysNeed) {
  KeyCache cache(10, 6, Frames());
  cache.Get(kRank, kTable, Brought(1, {1, 2}));
  cache.Get(kRank, kTable, Brought(2, {3, 4}));
  cache.Get(kRank, kTable, Brought(3, {5, 6}));
  for (const uint64_t id : {1, 2, 3}) EXPECT_NE(cache.Get(kRank, kTable, Named(id)), nullptr);
  cache.Get(kRank, kTable, Brought(4, {7, 8, 9}));
  EXPECT_EQ(cache.Get(kRank, kTable, Named(1)), nullptr);
  EXPECT_EQ(cache.Get(kRank, kTable, Named(2)), nullptr);
  EXPECT_NE(cache.Get(kRank, kTable, Named(3)), nullptr);
  EXPECT_NE(cache.Get(kRank, kTable, Named(4)), nullptr);
  // What was forgotten counts no more: there is room for one key.
  cache.Get(kRank, kTable, Brought(5, {10}));
  EXPECT_NE(cache.Get(kRank, kTable, Named(3)), nullptr);
}

TEST(KeyCacheTest, KeepsTheListInUseHoweverLongItIs) {
  KeyCache cache(10, 2, Frames());
  cache.Get(kRank, kTable, Brought(1, {1}));
  cache.Get(kRank, kTable, Brought(2, {1, 2, 3, 4, 5}));
  EXPECT_EQ(cache.Get(kRank, kTable, Named(1)), nullptr);
  EXPECT_EQ(KeysOf(cache.Get(kRank, kTable, Named(2))).size(), 5U);
}

TEST(KeyCacheTest, BoundsEachRankByItself) {
  KeyCache cache(1, 2, Frames());
  cache.Get(kRank, kTable, Brought(1, {1, 2}));
  cache.Get(kOtherRank, kTable, Brought(2, {1, 2}));
  EXPECT_NE(cache.Get(kRank, kTable, Named(1)), nullptr);
  EXPECT_NE(cache.Get(kOtherRank, kTable, Named(2)), nullptr);
}

TEST(KeyCacheTest, LeavesAForgottenListToThoseWhoHoldIt) {
  KeyCache cache(1, 100, Frames());
  const auto held = cache.Get(kRank, kTable, Brought(1, {1, 2}));
  cache.Get(kRank, kTable, Brought(2, {3}));
  EXPECT_EQ(cache.Get(kRank, kTable, Named(1)), nullptr);
  EXPECT_EQ(KeysOf(held), (std::vector<uint64_t>{1, 2}));
}

TEST(KeyCacheTest, ForgetsARankWithAllItsNames) {
  KeyCache cache(4, 100, Frames());
  cache.Get(kRank, kTable, Brought(1, {1}));
  cache.Get(kRank, kTable, Brought(2, {2}));
  cache.Get(kOtherRank, kTable, Brought(1, {3}));
  cache.Forget(kRank);
  EXPECT_EQ(cache.Get(kRank, kTable, Named(1)), nullptr);
  EXPECT_EQ(cache.Get(kRank, kTable, Named(2)), nullptr);
  EXPECT_NE(cache.Get(kOtherRank, kTable, Named(1)), nullptr);
  EXPECT_EQ(KeysOf(cache.Get(kRank, kTable, Brought(1, {9}))), (std::vector<uint64_t>{9}));
}

}  // namespace
}  // namespace shardmill
