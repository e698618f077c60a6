#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>

#include "sim/cluster.h"

namespace shardmill::sim {
namespace {

// Sanitizers cost ten times the time: there a tenth of the histories has to do.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr uint64_t kHistories = 1000;
#else
constexpr uint64_t kHistories = 10000;
#endif

TEST(HistoriesTest, TenThousandSeededHistoriesKeepEveryPromise) {
  Outcome all;
  uint64_t compared = 0;
  uint64_t compared_short = 0;  // With rounds that were closed without somebody.
  uint64_t failed = 0;
  FramePool frames(FramePool::Memory::kPrivate);
  for (uint64_t seed = 1; seed <= kHistories; ++seed) {
    const Outcome outcome = Cluster(Scenario::FromSeed(seed), frames).Run();
    ASSERT_TRUE(outcome.violations.empty())
        << "seed " << seed << ": " << outcome.violations.front()
        << "\nreplay: bazel run //tests/sim:histories -- --count 1 --seed " << seed;
    all.crashes += outcome.crashes;
    all.replaced += outcome.replaced;
    all.twins += outcome.twins;
    all.restarts += outcome.restarts;
    all.stale_shards += outcome.stale_shards;
    all.discarded += outcome.discarded;
    all.skipped += outcome.skipped;
    all.nonfinite += outcome.nonfinite;
    all.snapshots += outcome.snapshots;
    all.given_up += outcome.given_up;
    all.resumed += outcome.resumed;
    all.ruins += outcome.ruins;
    all.rollbacks += outcome.rollbacks;
    all.joins += outcome.joins;
    all.leaves += outcome.leaves;
    all.promotions += outcome.promotions;
    all.moved += outcome.moved;
    all.stopped += outcome.stopped;
    all.cut_off += outcome.cut_off;
    all.bad_links += outcome.bad_links;
    all.restored += outcome.restored;
    all.power_cuts += outcome.power_cuts;
    all.copies += outcome.copies;
    compared += outcome.compared ? 1 : 0;
    compared_short += outcome.compared && outcome.discarded > 0 ? 1 : 0;
    failed += outcome.failed ? 1 : 0;
  }
  // The histories are worth something only if things happen in them.
  EXPECT_GT(all.crashes, kHistories);
  EXPECT_GT(all.replaced, kHistories / 4);
  EXPECT_GT(all.twins, kHistories / 4);
  EXPECT_GT(all.restarts, kHistories / 2);
  EXPECT_GT(all.stale_shards, kHistories / 10);
  EXPECT_GT(all.discarded, kHistories / 10);
  EXPECT_GT(all.skipped, kHistories / 10);
  EXPECT_GT(all.nonfinite, kHistories / 10);
  EXPECT_GT(all.snapshots, kHistories);
  EXPECT_GT(all.given_up, kHistories / 100);
  EXPECT_GT(all.resumed, kHistories / 40);
  EXPECT_GT(all.ruins, all.resumed);
  EXPECT_GT(all.rollbacks, kHistories / 10);
  EXPECT_GT(all.joins, kHistories / 2);
  EXPECT_GT(all.leaves, kHistories / 10);
  EXPECT_GT(all.promotions, kHistories / 20);
  EXPECT_GT(all.moved, kHistories / 10);
  EXPECT_GT(all.stopped, kHistories / 10);
  EXPECT_GT(all.cut_off, kHistories / 10);
  EXPECT_GT(all.bad_links, kHistories);
  EXPECT_GT(all.copies, kHistories / 4);
  EXPECT_GT(all.restored, kHistories / 20);
  EXPECT_GT(all.power_cuts, kHistories / 40);
  EXPECT_GT(compared, kHistories / 10);
  EXPECT_GT(compared_short, kHistories / 40);
  EXPECT_GT(failed, kHistories / 40);
}

TEST(HistoriesTest, ASeedReplaysToTheSameHistory) {
  FramePool frames(FramePool::Memory::kPrivate);
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    const Outcome first = Cluster(Scenario::FromSeed(seed), frames).Run();
    const Outcome second = Cluster(Scenario::FromSeed(seed), frames).Run();
    EXPECT_EQ(first.digest, second.digest) << "seed " << seed;
  }
}

// What is on the wire is all that there is of a message.
TEST(HistoriesTest, AHistoryIsTheSameWhereMessagesAreBytes) {
  FramePool frames(FramePool::Memory::kPrivate);
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    Scenario scenario = Scenario::FromSeed(seed);
    scenario.wire = false;
    const Outcome plain = Cluster(scenario, frames).Run();
    scenario.wire = true;
    const Outcome crossed = Cluster(scenario, frames).Run();
    ASSERT_TRUE(crossed.violations.empty())
        << "seed " << seed << ": " << crossed.violations.front();
    EXPECT_EQ(plain.digest, crossed.digest) << "seed " << seed;
  }
}

}  // namespace
}  // namespace shardmill::sim
