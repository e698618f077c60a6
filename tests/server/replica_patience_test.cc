// How long a primary waits for what its replicas answer, and how often it says it again.
#include <gtest/gtest.h>

#include "tests/server/replicas_by_hand.h"

namespace shardmill {
namespace {

TEST_F(ReplicaTest, SaysWhichReplicaTakesNothingOfWhatItWaitsFor) {
  Begin();
  deaf_ = kSecond;
  Finish(kFirst, 0, 1);
  const auto said = [this] { return copies_.at(kFirst)->Status(); };
  const TimePoint since = now_;
  while (said().differing == 0 && now_ - since < std::chrono::seconds(20)) Tick();
  EXPECT_EQ(said().differing, 1U);
  EXPECT_NE(said().why.find("copy 1 has taken nothing"), std::string::npos) << said().why;
  EXPECT_GE(now_ - since, std::chrono::seconds(10));
}

TEST_F(ReplicaTest, BlamesNobodyForTheTimeInWhichItDidNotLook) {
  Begin();
  deaf_ = kSecond;
  Finish(kFirst, 0, 1);
  Tick();
  now_ += std::chrono::seconds(30);
  Tick();
  EXPECT_EQ(copies_.at(kFirst)->Status().differing, 0U);
}

TEST_F(ReplicaTest, SendsLessAndLessToAReplicaThatTakesNothingUntilItDoes) {
  Begin();
  deaf_ = kSecond;
  given_.clear();
  Finish(kFirst, 0, 1);
  const auto blamed = [this] { return copies_.at(kFirst)->Status().differing != 0; };
  while (!blamed() && now_ < TimePoint{} + std::chrono::seconds(20)) Tick();
  EXPECT_TRUE(blamed());
  EXPECT_LT(std::ranges::count(given_, given_.front()), 20) << "in ten seconds, a beat of 10 ms";
  deaf_ = 0;
  while (blamed() && now_ < TimePoint{} + std::chrono::seconds(40)) Tick();
  EXPECT_FALSE(blamed());
  EXPECT_EQ(Heard<Ended>(kWorker), 1U);
}

// What it is to take first may take long.
TEST_F(ReplicaTest, DoesNotGiveUpAReplicaThatAnswersOfTheStreamBefore) {
  Begin();
  deaf_ = kSecond;
  Finish(kFirst, 0, 1);
  for (int i = 0; i < 40 * 50; ++i) {
    Tick();
    Give(kFirst, kSecond, {kJob, {}, Term{1}, {}, {}}, Followed{ShardId{0}, 0, 1, ""});
  }
  EXPECT_EQ(copies_.at(kFirst)->Status().differing, 0U) << "for 40 s";
  for (int i = 0; i < 50 * 50; ++i) {
    Tick();
    Give(kFirst, kSecond, {kJob, {}, Term{1}, {}, {}}, Followed{ShardId{0}, 0, 1, ""});
  }
  EXPECT_NE(copies_.at(kFirst)->Status().differing, 0U) << "it gets on no more";
}

TEST_F(ReplicaTest, HasEachTimeMorePatienceWithOneThatCatchesUp) {
  Install(kFirst);
  deaf_ = kSecond;
  Duration before{};
  for (uint64_t number = 1; number <= 3; ++number) {
    FromCoordinator(kFirst,
                    Replicas{ShardId{0}, number, {{1, BootId{kSecond}, "", number, false}}});
    copies_.at(kFirst)->Attach(BootId{kSecond}, PeerId{kSecond});
    const TimePoint since = now_;
    while (copies_.at(kFirst)->Status().differing != number &&
           now_ - since < std::chrono::minutes(2))
      Tick();
    EXPECT_GT(now_ - since, before + before / 2);
    before = now_ - since;
  }
  EXPECT_GE(before, std::chrono::seconds(40));
}

TEST_F(ReplicaTest, SendsNothingAgainToAReplicaThatGetsOn) {
  Begin();
  const uint64_t before = item_;
  deaf_ = kSecond;
  given_.clear();
  for (Step step = 1; step <= 5; ++step) {
    Say(kFirst, 0, Unit{Who(0), step, 0, 0, kDense, 0, Frame::CopyOf(std::vector<float>{1})});
    Say(kFirst, 0, End{Who(0), step, 0, 1, 1});
  }
  for (uint64_t taken = 1; taken <= 5; ++taken) {
    now_ += milliseconds(6);  // Twice that is longer than it waits.
    Outbox outbox;
    copies_.at(kFirst)->Tick(now_, outbox);
    Route(kFirst, outbox);
    Give(kFirst, kSecond, {kJob, {}, Term{1}, {}, {}}, Followed{ShardId{0}, 1, before + taken, ""});
  }
  EXPECT_GE(given_.size(), 5U);
  EXPECT_EQ(std::ranges::adjacent_find(given_, std::ranges::greater_equal()), given_.end());
}

}  // namespace
}  // namespace shardmill
