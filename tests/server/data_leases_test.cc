#include "server/data_leases.h"

#include <gtest/gtest.h>

#include <vector>

namespace shardmill {
namespace {

constexpr WorkerId kA{0};
constexpr WorkerId kB{1};

DataPlan Plan() {
  DataPlan plan;
  plan.leased = true;
  plan.epochs = 2;
  plan.chunk = 4;
  return plan;
}

std::vector<DataRange> RangesOf(const std::vector<DataLease>& leases) {
  std::vector<DataRange> ranges;
  for (const DataLease& lease : leases) ranges.push_back(lease.range);
  return ranges;
}

TEST(DataLeasesTest, GoFromOneEpochToTheNextWithoutAPause) {
  DataLeases data(Plan(), 2);
  ASSERT_EQ(data.Begin(10), "");
  EXPECT_TRUE(data.Grant(kA));
  EXPECT_TRUE(data.Grant(kB));
  EXPECT_EQ(RangesOf(data.HeldAfter(kA, 0)), (std::vector<DataRange>{{0, 0, 4}, {0, 4, 8}}));
  EXPECT_EQ(RangesOf(data.HeldAfter(kB, 0)), (std::vector<DataRange>{{0, 8, 10}, {1, 0, 4}}));
}

TEST(DataLeasesTest, GiveARankNoMoreThanItMayHaveAtOnce) {
  DataLeases data(Plan(), 2);
  ASSERT_EQ(data.Begin(10), "");
  EXPECT_TRUE(data.Grant(kA));
  EXPECT_FALSE(data.Grant(kA));
  EXPECT_TRUE(data.Use(kA, {2, 1}));
  EXPECT_TRUE(data.Grant(kA));
  EXPECT_EQ(data.HeldAfter(kA, 2).size(), 1U);
}

TEST(DataLeasesTest, TakeBackWhatWasNotUsedAndGiveItToOthersFirst) {
  DataLeases data(Plan(), 2);
  ASSERT_EQ(data.Begin(10), "");
  data.Grant(kA);
  data.Return(kA, {1, 3});
  EXPECT_EQ(data.state().used, 3U);
  data.Grant(kB);
  EXPECT_EQ(RangesOf(data.HeldAfter(kB, 0)), (std::vector<DataRange>{{0, 3, 4}, {0, 4, 8}}));
  // The next life of the rank has leases of numbers of its own.
  data.Grant(kA);
  EXPECT_EQ(data.HeldAfter(kA, 0).front().seq, 3U);
}

TEST(DataLeasesTest, AreOverWhenAllIsUsedAndNothingIsHeld) {
  DataLeases data(Plan(), 1);
  EXPECT_FALSE(data.Over());
  ASSERT_EQ(data.Begin(10), "");
  uint64_t seq = 0;
  while (data.Grant(kA)) {
    seq = data.HeldAfter(kA, 0).back().seq;
    EXPECT_FALSE(data.Over());
    data.Use(kA, {seq + 1, 0});
  }
  EXPECT_TRUE(data.Over());
  EXPECT_EQ(data.state().used, 20U);
  EXPECT_EQ(data.Places(), 20U);
}

TEST(DataLeasesTest, RefuseAnotherDataSet) {
  DataLeases data(Plan(), 1);
  EXPECT_NE(data.Begin(0), "");
  ASSERT_EQ(data.Begin(10), "");
  EXPECT_EQ(data.Begin(10), "");
  EXPECT_NE(data.Begin(11).find("11 rows"), std::string::npos);
}

TEST(DataLeasesTest, ChooseChunksSoThatEachWorkerHasSeveralAnEpoch) {
  DataPlan plan = Plan();
  plan.chunk = 0;
  plan.batch = 10;
  DataLeases small(plan, 4);
  ASSERT_EQ(small.Begin(1000), "");
  EXPECT_EQ(small.state().chunk, 30U);
  DataLeases large(plan, 4);
  ASSERT_EQ(large.Begin(1'000'000), "");
  EXPECT_EQ(large.state().chunk, 640U);
}

TEST(DataLeasesTest, ACutHasAllThatIsNotUsedAndGoesOnFromThere) {
  DataLeases data(Plan(), 2);
  ASSERT_EQ(data.Begin(10), "");
  data.Grant(kA);
  RankState at_cut{kA, 7};
  at_cut.used = {2, 1};
  const DataState then = data.AtCut({at_cut});
  EXPECT_EQ(then.used, 5U);
  EXPECT_EQ(then.returned, (std::vector<DataRange>{{0, 5, 8}}));
  EXPECT_EQ(data.HeldAfter(kA, 0).size(), 2U);  // Who goes on keeps what it has.
  DataLeases next(Plan(), 5);
  next.Restore(then);
  next.Grant(kB);
  EXPECT_EQ(RangesOf(next.HeldAfter(kB, 0)), (std::vector<DataRange>{{0, 5, 8}, {0, 8, 10}}));
}

}  // namespace
}  // namespace shardmill
