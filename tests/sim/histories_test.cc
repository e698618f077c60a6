#include <gtest/gtest.h>

#include <cstdint>

#include "sim/cluster.h"

namespace shardmill::sim {
namespace {

TEST(HistoriesTest, AThousandSeededHistoriesKeepEveryPromise) {
  uint64_t crashes = 0;
  uint64_t replaced = 0;
  uint64_t stale_reads = 0;
  for (uint64_t seed = 1; seed <= 1000; ++seed) {
    const Outcome outcome = Cluster(Scenario::FromSeed(seed)).Run();
    ASSERT_TRUE(outcome.violations.empty())
        << "seed " << seed << ": " << outcome.violations.front()
        << "\nreplay: bazel run //tests/sim:histories -- --count 1 --seed " << seed;
    crashes += outcome.crashes;
    replaced += outcome.replaced;
    stale_reads += outcome.stale_shards;
  }
  // The histories are worth something only if things happen in them.
  EXPECT_GT(crashes, 1000U);
  EXPECT_GT(replaced, 300U);
  EXPECT_GT(stale_reads, 100U);
}

TEST(HistoriesTest, ASeedReplaysToTheSameHistory) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    const Outcome first = Cluster(Scenario::FromSeed(seed)).Run();
    const Outcome second = Cluster(Scenario::FromSeed(seed)).Run();
    EXPECT_EQ(first.events, second.events) << "seed " << seed;
    EXPECT_EQ(first.crashes, second.crashes) << "seed " << seed;
  }
}

}  // namespace
}  // namespace shardmill::sim
