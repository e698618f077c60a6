#include "nn/arena.h"

#include <gtest/gtest.h>

#include <cstdint>

namespace shardmill::nn {
namespace {

TEST(ArenaTest, HandsOutPiecesThatBeginAtCacheLinesAndDoNotOverlap) {
  Arena arena;
  arena.Reset(Arena::Rounded(3) + Arena::Rounded(17));
  const std::span<float> first = arena.Take(3);
  const std::span<float> second = arena.Take(17);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(first.data()) % 64, 0U);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(second.data()) % 64, 0U);
  EXPECT_GE(second.data() - first.data(), 3);
  EXPECT_EQ(second.size(), 17U);
}

TEST(ArenaTest, GivesTheSameMemoryAgainAfterASmallerStep) {
  Arena arena;
  arena.Reset(160);
  const float* const before = arena.Take(160).data();
  arena.Reset(32);
  EXPECT_EQ(arena.Take(32).data(), before);
  arena.Reset(160);
  EXPECT_EQ(arena.Take(160).data(), before);
}

TEST(ArenaDeathTest, RefusesMoreThanWasAskedFor) {
  Arena arena;
  arena.Reset(16);
  EXPECT_DEATH(static_cast<void>(arena.Take(17)), "does not hold");
}

}  // namespace
}  // namespace shardmill::nn
