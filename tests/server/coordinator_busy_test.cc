// Copies of shards that work for longer than a lease, as the coordinator sees them.
#include <gtest/gtest.h>

#include "tests/server/coordinator_by_hand.h"

namespace shardmill {
namespace {

constexpr uint64_t kServer = 70;

class BusyTest : public ReplicaCoordinatorTest {
 protected:
  BusyTest() {
    BeInSync();
    Live(kReplica, 1);
  }

  // Time passes in which the replica says that it is there, and the server that others are.
  void Pass(int leases, const std::vector<BootId>& busy) {
    for (int i = 0; i < 4 * leases; ++i) {
      After(kLease / 4);
      Live(kReplica, 1);
      Say(kServer, Host{0, false, busy});
    }
  }
  bool Follows() const { return coordinator_.replicas(ShardId{0}).front().in_sync; }
};

TEST_F(BusyTest, APrimaryAtWorkKeepsItsPlace) {
  Pass(5, {BootId{kShard}});
  EXPECT_EQ(Primary(), kShard);
  Pass(2, {});
  EXPECT_EQ(Primary(), kReplica);
}

// What its server had said before comes later at times.
TEST_F(BusyTest, OneWhoseConnectionHasEndedIsNotAtWork) {
  coordinator_.LinkEnded(now_, PeerId{kShard});
  Pass(2, {BootId{kShard}});
  EXPECT_EQ(Primary(), kReplica);
}

TEST_F(BusyTest, AReplicaAtWorkIsNotGivenUpForTakingNothing) {
  Beat beat{ShardId{0}};
  beat.in_sync = {Stream()};
  beat.differing = Stream();
  Say(kServer + 1, Host{1, false, {BootId{kReplica}}});
  Say(kShard, beat);
  EXPECT_TRUE(Follows());
  EXPECT_EQ(coordinator_.shards().front().beat.differing, 0U) << "nobody is to be told";
  After(kLease);
  Live(kReplica, 1);
  Say(kShard, beat);
  EXPECT_FALSE(Follows());
}

}  // namespace
}  // namespace shardmill
