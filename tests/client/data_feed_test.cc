#include "client/data_feed.h"

#include <gtest/gtest.h>

namespace shardmill {
namespace {

constexpr Sender kSender{WorkerId{1}, Incarnation{2}};

DataFeed Fed() {
  DataFeed feed(100);
  feed.Take({WorkerId{1}, {{5, {0, 10, 14}}, {6, {1, 0, 4}}}, false});
  return feed;
}

TEST(DataFeedTest, AsksUntilItHasSomething) {
  DataFeed feed(100);
  EXPECT_TRUE(feed.Wants());
  EXPECT_EQ(feed.Request(kSender).rows, 100U);
  EXPECT_TRUE(feed.Wants());
  feed.Take({WorkerId{1}, {{5, {0, 10, 14}}}, false});
  EXPECT_FALSE(feed.Wants());
  EXPECT_TRUE(feed.ready());
}

TEST(DataFeedTest, GivesPlacesOfOneLeaseAtATime) {
  DataFeed feed = Fed();
  EXPECT_EQ(feed.Next(3), (DataRange{0, 10, 13}));
  EXPECT_EQ(feed.taken(), (DataCursor{5, 3}));
  EXPECT_EQ(feed.Next(3), (DataRange{0, 13, 14}));
  EXPECT_EQ(feed.taken(), (DataCursor{6, 0}));
  EXPECT_EQ(feed.Next(9), (DataRange{1, 0, 4}));
  EXPECT_EQ(feed.taken(), (DataCursor{7, 0}));
  EXPECT_EQ(feed.Next(9).size(), 0U);
}

TEST(DataFeedTest, TakesTheSameAgainWhereAStepWasAbandoned) {
  DataFeed feed = Fed();
  feed.Next(2);
  feed.FinishStep();
  feed.Next(9);
  feed.Next(1);
  feed.AbandonStep();
  EXPECT_EQ(feed.Next(9), (DataRange{0, 12, 14}));
}

TEST(DataFeedTest, TellsWhenALeaseIsUsedUp) {
  DataFeed feed = Fed();
  feed.Next(4);
  EXPECT_FALSE(feed.HasNews());
  feed.FinishStep();
  EXPECT_TRUE(feed.HasNews());
  const GetLease request = feed.Request(kSender);
  EXPECT_EQ(request.used, (DataCursor{6, 0}));
  EXPECT_EQ(request.have, 6U);
  EXPECT_FALSE(feed.HasNews());
}

TEST(DataFeedTest, HearsALeaseOnceAndTheEndForGood) {
  DataFeed feed = Fed();
  feed.Next(4);
  feed.FinishStep();
  feed.Take({WorkerId{1}, {{5, {0, 10, 14}}, {6, {1, 0, 4}}}, true});
  EXPECT_EQ(feed.Next(9), (DataRange{1, 0, 4}));
  EXPECT_FALSE(feed.ready());
  EXPECT_TRUE(feed.over());
  EXPECT_FALSE(feed.Wants());
}

}  // namespace
}  // namespace shardmill
