#include "server/row_store.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "server/row_memory.h"

namespace shardmill {
namespace {

TEST(RowMemoryTest, GivesZeroedPiecesOfAnySizeThatDoNotOverlap) {
  RowMemory memory;
  std::vector<std::span<std::byte>> pieces;
  uint64_t size = 1;
  for (int i = 0; i < 200; ++i) {
    size = size * 7 % 300'007;
    pieces.push_back(memory.Take(i == 100 ? uint64_t{70} << 20 : size));
  }
  for (size_t i = 0; i < pieces.size(); ++i) {
    EXPECT_EQ(reinterpret_cast<uintptr_t>(pieces[i].data()) % 64, 0U);
    ASSERT_TRUE(std::ranges::all_of(pieces[i], [](std::byte b) { return b == std::byte{0}; })) << i;
    std::ranges::fill(pieces[i], static_cast<std::byte>(i + 1));
  }
  for (size_t i = 0; i < pieces.size(); ++i) {
    EXPECT_EQ(pieces[i].front(), static_cast<std::byte>(i + 1)) << i;
    EXPECT_EQ(pieces[i].back(), static_cast<std::byte>(i + 1)) << i;
  }
}

TEST(RowMemoryTest, KeepsItsPiecesWhenItIsMoved) {
  RowMemory memory;
  const std::span<std::byte> piece = memory.Take(10);
  RowMemory other = std::move(memory);
  piece[3] = std::byte{7};
  const std::span<std::byte> next = other.Take(100);
  EXPECT_EQ(next[3], std::byte{0});
  EXPECT_EQ(piece[3], std::byte{7});
}

TEST(RowStoreTest, KeepsEachRowWhereItWasMade) {
  constexpr uint32_t kRows = 300'000;
  RowStore store(3);
  std::vector<float*> places;
  for (uint32_t row = 0; row < kRows; ++row) {
    ASSERT_EQ(store.Make(row * 7), row);
    ASSERT_EQ(store.KeyOf(row), row * 7);
    places.push_back(store.At(row));
    for (int i = 0; i < 3; ++i) {
      ASSERT_EQ(places[row][i], 0);
      places[row][i] = static_cast<float>(row);
    }
  }
  EXPECT_EQ(store.size(), kRows);
  for (uint32_t row = 0; row < kRows; ++row) {
    ASSERT_EQ(store.At(row), places[row]);
    for (int i = 0; i < 3; ++i) ASSERT_EQ(places[row][i], static_cast<float>(row));
  }
}

TEST(RowStoreTest, HasAMarkAndAPlaceOfEachRow) {
  constexpr uint32_t kRows = 100'000;
  RowStore store(8);
  for (uint32_t row = 0; row < kRows; ++row) {
    store.Make(1);
    ASSERT_EQ(store.MarkOf(row), RowStore::Mark::kNone);
    store.PlaceOf(row) = row;
    if (row % 3 == 0) store.MarkOf(row) = RowStore::Mark::kSeveral;
  }
  for (uint32_t row = 0; row < kRows; ++row) {
    ASSERT_EQ(store.MarkOf(row) == RowStore::Mark::kSeveral, row % 3 == 0);
    ASSERT_EQ(store.PlaceOf(row), row);
  }
}

}  // namespace
}  // namespace shardmill
