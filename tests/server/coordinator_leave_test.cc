// Processes that are told to stop, as the coordinator sees them.
#include <gtest/gtest.h>

#include "tests/server/coordinator_by_hand.h"

namespace shardmill {
namespace {

class LeaveTest : public ReplicaCoordinatorTest {
 protected:
  // Whether the process may go.
  bool Leave(uint64_t who, uint32_t copy) {
    Beat beat{ShardId{0}};
    beat.copy = copy;
    beat.view = coordinator_.view().number;
    beat.leaving = true;
    const Outbox answers = Say(who, beat);
    const Refused* refused = Find<Refused>(answers, who);
    return refused != nullptr && refused->code == Refusal::kFenced;
  }
};

TEST_F(LeaveTest, APrimaryGoesWhenItsReplicaHasAllAndTakesItsPlace) {
  EXPECT_FALSE(Leave(kShard, 0));
  EXPECT_EQ(Primary(), kShard);
  BeInSync();
  now_ += milliseconds(20);
  EXPECT_FALSE(Leave(kShard, 0)) << "the replica may be gone, and not missed yet";
  Live(kReplica, 1);
  EXPECT_EQ(Primary(), kReplica);
  EXPECT_EQ(coordinator_.promotions(), 1U);
  const std::optional<CoordinatorState> kept = coordinator_.TakeState();
  ASSERT_TRUE(kept);
  EXPECT_EQ(kept->copies.front().boot, BootId{kReplica});
  EXPECT_FALSE(Leave(kShard, 0)) << "its heir may be gone before a view has it";
  After(milliseconds(1));
  const Outbox said = Say(kReplica, Frozen{coordinator_.view().number.Next(), {}});
  ASSERT_NE(Find<Refused>(said, kShard), nullptr);
  EXPECT_EQ(Find<Refused>(said, kShard)->code, Refusal::kFenced);
  EXPECT_TRUE(Leave(kShard, 0)) << "the answer was lost";
}

TEST_F(LeaveTest, APrimaryWhoseHeirIsGoneAtOnceStays) {
  BeInSync();
  Leave(kShard, 0);
  Live(kReplica, 1);
  ASSERT_EQ(Primary(), kReplica);
  for (int i = 0; i < 8; ++i) {
    After(kLease / 4);
    EXPECT_FALSE(Leave(kShard, 0));
  }
  EXPECT_EQ(Primary(), kShard);
}

// Until then it would not be promoted, whatever it has.
TEST_F(LeaveTest, APrimaryHearsThatItsReplicaCountsWhenThatIsWrittenDown) {
  Beat beat{ShardId{0}};
  beat.replicas = Find<Replicas>(Say(kShard, beat), kShard)->number;
  EXPECT_EQ(Find<Replicas>(Say(kShard, beat), kShard), nullptr);
  static_cast<void>(coordinator_.TakeState());
  beat.in_sync = {coordinator_.replicas(ShardId{0}).front().stream};
  const Outbox said = Say(kShard, beat);
  ASSERT_NE(Find<Replicas>(said, kShard), nullptr);
  EXPECT_TRUE(Find<Replicas>(said, kShard)->replicas.front().in_sync);
  EXPECT_TRUE(coordinator_.TakeState());
}

TEST_F(LeaveTest, AReplicaThatGoesIsWaitedForNoMore) {
  BeInSync();
  now_ += milliseconds(20);
  EXPECT_FALSE(Leave(kReplica, 1)) << "the primary may be gone, and not missed yet";
  EXPECT_NE(Find<Refused>(Live(kShard, 0), kReplica), nullptr);
  EXPECT_TRUE(Leave(kReplica, 1)) << "the answer was lost";
  EXPECT_EQ(Primary(), kShard);
  EXPECT_FALSE(coordinator_.replicas(ShardId{0}).front().in_sync);
  const Outbox said = Say(kShard, Beat{ShardId{0}});
  ASSERT_NE(Find<Replicas>(said, kShard), nullptr);
  EXPECT_TRUE(Find<Replicas>(said, kShard)->replicas.empty());
}

// What was read is from before it was told: it was on its way while this process stood still.
TEST_F(LeaveTest, AReplicaStaysWhosePrimaryHasSaidNothingSince) {
  BeInSync();
  now_ += milliseconds(20);
  EXPECT_FALSE(Leave(kReplica, 1));
  Beat old{ShardId{0}};
  old.in_sync = {Stream()};
  EXPECT_EQ(Find<Refused>(SayAsIs(kShard, old), kReplica), nullptr);
  EXPECT_FALSE(Leave(kReplica, 1));
  for (int i = 0; i < 8; ++i) {
    After(kLease / 4);
    EXPECT_FALSE(Leave(kReplica, 1));
  }
  EXPECT_EQ(Primary(), kReplica);
}

TEST_F(LeaveTest, WhoIsGoneIsNotThereBecauseTheCoordinatorStoodStill) {
  BeInSync();
  After(kLease / 2);
  EXPECT_FALSE(Leave(kReplica, 1));
  coordinator_.LinkEnded(now_, PeerId{kShard});
  now_ += kLease;
  for (int i = 0; i < 8; ++i) {
    After(milliseconds(i == 0 ? 1 : 20));
    EXPECT_FALSE(Leave(kReplica, 1));
  }
  EXPECT_EQ(Primary(), kReplica);
}

TEST_F(LeaveTest, APrimaryStaysWhereItsReplicasConnectionHasEnded) {
  BeInSync();
  Live(kReplica, 1);
  coordinator_.LinkEnded(now_, PeerId{kReplica});
  EXPECT_FALSE(Leave(kShard, 0));
  EXPECT_EQ(Primary(), kShard);
}

TEST_F(LeaveTest, AReplicaStaysWhoseSilentPrimaryItMayHaveToReplace) {
  BeInSync();
  After(milliseconds(80));
  Live(kReplica, 1);
  now_ += milliseconds(25);
  EXPECT_FALSE(Leave(kReplica, 1));
  After(milliseconds(20));
  EXPECT_FALSE(Leave(kReplica, 1));
  After(milliseconds(1));
  EXPECT_EQ(Primary(), kReplica);
  EXPECT_FALSE(Leave(kReplica, 1)) << "nobody else has the shard";
}

TEST_F(LeaveTest, AReplicaTakesASilentPrimarysPlaceWhenItSaysThatItIsThere) {
  BeInSync();
  After(milliseconds(80));
  Live(kReplica, 1);
  const Outbox said = After(milliseconds(60));
  EXPECT_EQ(Primary(), kShard) << "the replica may be gone as well, and not missed yet";
  EXPECT_NE(Find<Registered>(said, kReplica), nullptr);
  Live(kReplica, 1);
  After(milliseconds(1));
  EXPECT_EQ(Primary(), kReplica);
}

TEST_F(LeaveTest, APrimaryWithoutAnHeirStaysAlsoWhereNobodyTrainsNow) {
  for (const uint64_t worker : {1, 2}) {
    const WorkerId rank{static_cast<uint32_t>(worker - 1)};
    Say(worker, Goodbye{{rank, Incarnation{1}}});
  }
  EXPECT_FALSE(Leave(kShard, 0));
}

}  // namespace
}  // namespace shardmill
