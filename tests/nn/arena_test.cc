#include "nn/arena.h"

#include <gtest/gtest.h>

#include <cstdint>

#include "nn/ops/cpu/backend.h"
#include "tests/sanitized.h"

namespace shardmill::nn {
namespace {

TEST(ArenaTest, BeginsAtACacheLineAndReachesAsFarAsWasReserved) {
  CpuBackend backend;
  Arena arena(backend);
  ASSERT_TRUE(arena.Reserve(33));
  EXPECT_EQ(reinterpret_cast<uintptr_t>(arena.At(0, 33).data()) % 64, 0U);
  EXPECT_EQ(arena.At(16, 17).data(), arena.At(0, 33).data() + 16);
}

TEST(ArenaTest, GivesTheSameMemoryAgainForASmallerStep) {
  CpuBackend backend;
  Arena arena(backend);
  ASSERT_TRUE(arena.Reserve(160));
  const float* const before = arena.At(0, 160).data();
  ASSERT_TRUE(arena.Reserve(32));
  EXPECT_EQ(arena.At(0, 160).data(), before);
}

TEST(ArenaTest, SaysWhereThereIsNoRoom) {
  CpuBackend backend;
  Arena arena(backend);
  // A sanitizer ends the program where the system would say no.
  if (!kSanitized) {
    EXPECT_FALSE(arena.Reserve(uint64_t{1} << 60));
  }
  EXPECT_TRUE(arena.Reserve(16));
}

TEST(ArenaDeathTest, RefusesMoreThanWasReserved) {
  CpuBackend backend;
  Arena arena(backend);
  ASSERT_TRUE(arena.Reserve(16));
  EXPECT_DEATH(static_cast<void>(arena.At(1, 16)), "does not hold");
}

}  // namespace
}  // namespace shardmill::nn
