#include "server/wait_shares.h"

#include <gtest/gtest.h>

namespace shardmill {
namespace {

using std::chrono::milliseconds;

// Shards that wait for a rank, looked at every 100 ms.
class WaitSharesTest : public testing::Test {
 protected:
  WaitSharesTest() {
    status_.state = JobStatus::State::kTraining;
    for (const uint32_t rank : {0, 1}) status_.workers.push_back({.rank = rank});
    for (const uint32_t id : {0, 1}) status_.shards.push_back({.id = id});
    shares_.Look(now_, status_);
  }

  void Wait(uint32_t rank, uint64_t parked, int looks) {
    for (JobStatus::Shard& shard : status_.shards) {
      shard.waiting_for = rank;
      shard.parked_pulls = parked;
    }
    for (int i = 0; i < looks; ++i) shares_.Look(now_ += milliseconds(100), status_);
  }

  WaitShares shares_;
  TimePoint now_{std::chrono::seconds(1000)};
  JobStatus status_;
};

TEST_F(WaitSharesTest, CountsTheTimeInWhichAnyShardWaitsOnce) {
  Wait(1, 2, 30);
  EXPECT_NEAR(status_.workers[1].awaited_seconds, 3, 1e-9);
  EXPECT_EQ(status_.workers[0].awaited_seconds, 0);
  Wait(1, 0, 30);
  EXPECT_NEAR(status_.workers[1].awaited_seconds, 3, 1e-9);
}

TEST_F(WaitSharesTest, ForgetsInItsShareWhatIsLongAgo) {
  Wait(1, 1, 300);
  EXPECT_GT(status_.workers[1].awaited_share, 0.9);
  Wait(0, 1, 300);
  EXPECT_LT(status_.workers[1].awaited_share, 0.1);
  EXPECT_GT(status_.workers[0].awaited_share, 0.9);
}

TEST_F(WaitSharesTest, DoesNotCountWhenTheJobIsOver) {
  status_.state = JobStatus::State::kDone;
  Wait(1, 1, 100);
  EXPECT_EQ(status_.workers[1].awaited_seconds, 0);
}

}  // namespace
}  // namespace shardmill
