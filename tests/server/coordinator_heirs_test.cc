// Who may take the place of a primary that is gone as soon as it has become one.
#include <gtest/gtest.h>

#include "tests/server/coordinator_by_hand.h"

namespace shardmill {
namespace {

class HeirsTest : public CoordinatorTest {
 protected:
  static constexpr uint64_t kFirst = 51;
  static constexpr uint64_t kSecond = 52;

  HeirsTest() : CoordinatorTest(WithReplicas()) {
    Say(kFirst, Register{ShardId{0}, "r", 1});
    Say(kSecond, Register{ShardId{0}, "q", 2});
    Begin();
    Beat beat{ShardId{0}};
    for (const ShardStatus& replica : coordinator_.replicas(ShardId{0})) {
      beat.in_sync.push_back(replica.stream);
    }
    Say(kShard, beat);
  }

  static CoordinatorOptions WithReplicas() {
    CoordinatorOptions options = Options();
    options.replicas = 2;
    return options;
  }

  void Speak(uint64_t who, uint32_t copy, uint64_t version) {
    Beat beat{ShardId{0}};
    beat.copy = copy;
    beat.version = version;
    Say(who, beat);
  }

  // The first replica has more than the second, and becomes primary.
  void LosePrimary() {
    for (int i = 0; i < 8; ++i) {
      After(kLease / 4);
      Speak(kFirst, 1, 9);
      Speak(kSecond, 2, 8);
    }
    ASSERT_EQ(Primary(), kFirst);
  }

  void LoseFirst() {
    for (int i = 0; i < 8; ++i) {
      After(kLease / 4);
      Speak(kSecond, 2, 8);
    }
  }

  uint64_t Primary() const { return coordinator_.shards().front().boot.value; }
};

TEST_F(HeirsTest, WhoFollowedTheOneBeforeHasAllUntilAViewHasTheNewOne) {
  LosePrimary();
  LoseFirst();
  EXPECT_EQ(Primary(), kSecond);
  EXPECT_EQ(coordinator_.state(), JobState::kTraining);
  EXPECT_EQ(coordinator_.promotions(), 2U);
}

TEST_F(HeirsTest, WhatANewPrimaryHasShownNobodyElseMayHave) {
  LosePrimary();
  After(milliseconds(1));
  const ViewNumber number = coordinator_.view().number.Next();
  Say(kFirst, Frozen{number, {}});
  Say(kFirst, Installed{number});
  ASSERT_EQ(coordinator_.view().number, number);
  LoseFirst();
  EXPECT_EQ(Primary(), kFirst);
}

TEST_F(HeirsTest, WhoFollowedTheOneBeforeLeavesOnlyWhenTheNewOneIsHere) {
  LosePrimary();
  now_ += milliseconds(20);
  Beat leaves{ShardId{0}};
  leaves.copy = 2;
  leaves.leaving = true;
  EXPECT_EQ(Find<Refused>(Say(kSecond, leaves), kSecond), nullptr)
      << "the primary may be gone, and not missed yet";
  now_ += milliseconds(1);
  EXPECT_NE(Find<Refused>(Say(kFirst, Beat{ShardId{0}}), kSecond), nullptr);
}

TEST_F(HeirsTest, WhoWasPrimaryIsItAgainWhereItsHeirsAreGone) {
  LosePrimary();
  Outbox said;
  for (int i = 0; i < 8; ++i) {
    const Outbox now = After(kLease / 4);
    said.insert(said.end(), now.begin(), now.end());
    EXPECT_EQ(Find<Refused>(Say(kShard, Beat{ShardId{0}}), kShard), nullptr);
  }
  EXPECT_EQ(Primary(), kShard);
  ASSERT_NE(Find<Freeze>(said, kShard), nullptr);
  EXPECT_EQ(Find<Freeze>(said, kShard)->term, Term{3});
  EXPECT_EQ(Find<Replicas>(said, kShard)->replicas.size(), 1U) << "of the other nobody can know";
}

TEST_F(HeirsTest, WhoWasPrimaryStaysSoInWhatIsWrittenDown) {
  LosePrimary();
  const std::optional<CoordinatorState> kept = coordinator_.TakeState();
  ASSERT_TRUE(kept);
  Coordinator next(WithReplicas(), now_, *kept);
  const std::vector<ShardStatus>& replicas = next.replicas(ShardId{0});
  const auto before = std::ranges::find(replicas, BootId{kShard}, &ShardStatus::boot);
  ASSERT_NE(before, replicas.end());
  EXPECT_TRUE(before->retires);
  EXPECT_TRUE(next.HasAll(ShardId{0}, *before));
}

TEST_F(HeirsTest, WhoWasPrimaryHasToComeAsAnotherWhenAViewHasItsHeir) {
  LosePrimary();
  EXPECT_EQ(Find<Refused>(Say(kShard, Beat{ShardId{0}}), kShard), nullptr);
  After(milliseconds(1));
  const Outbox said = Say(kFirst, Frozen{coordinator_.view().number.Next(), {}});
  ASSERT_NE(Find<Refused>(said, kShard), nullptr);
  EXPECT_EQ(Find<Refused>(said, kShard)->code, Refusal::kFenced);
  const std::vector<ShardStatus>& replicas = coordinator_.replicas(ShardId{0});
  const auto before = std::ranges::find(replicas, BootId{kShard}, &ShardStatus::boot);
  EXPECT_FALSE(before->registered);
}

class GoneBackTest : public ReplicaCoordinatorTest {
 protected:
  GoneBackTest() : ReplicaCoordinatorTest(WithSnapshots()) {}

  static CoordinatorOptions WithSnapshots() {
    CoordinatorOptions options = WithReplica();
    options.snapshots.enabled = true;
    return options;
  }
  static constexpr uint64_t kNext = 53;

  bool InSync() { return coordinator_.replicas(ShardId{0}).front().in_sync; }
  // Decided, and nobody has heard of it.
  void GoBack() {
    After(3 * kLease);
    Say(kNext, Register{ShardId{0}, "n"});
    After(milliseconds(1));
    ASSERT_EQ(coordinator_.decided().generation, Generation{2});
  }
  // By one who has.
  void SayAfterIt(uint64_t who, Message message) {
    Outbox outbox;
    const Stamp stamp{kJob, Generation{2}, {}, BootId{who}, kBoot};
    coordinator_.Handle(now_, {PeerId{who}, stamp, std::move(message)}, outbox);
  }
};

TEST_F(GoneBackTest, WhoWasInSyncBeforeHasNothingOfWhatIsNow) {
  GoBack();
  Beat beat{ShardId{0}};
  beat.in_sync = {Stream()};
  Say(kNext, beat);
  EXPECT_FALSE(InSync());
  SayAfterIt(kNext, beat);
  EXPECT_TRUE(InSync());
}

// A promotion makes a cut before all have taken the view with which the job goes back.
TEST_F(GoneBackTest, WhoHasRestoredNothingTakesTheJobBackOnceMore) {
  GoBack();
  Beat beat{ShardId{0}};
  beat.in_sync = {Stream()};
  beat.leaving = true;
  SayAfterIt(kNext, beat);
  Live(kReplica, 1);
  SayAfterIt(kNext, beat);
  ASSERT_EQ(Primary(), kReplica);
  const ViewNumber number = coordinator_.decided().number.Next();
  EXPECT_NE(Find<Freeze>(After(milliseconds(20)), kReplica), nullptr);
  Say(kReplica, Frozen{number, {}});
  Live(kReplica, 1);
  const Outbox said = After(milliseconds(20));
  ASSERT_NE(Find<Install>(said, kReplica), nullptr);
  EXPECT_EQ(Find<Install>(said, kReplica)->view.generation, Generation{3});
}

// One shard, which keeps a log.
class LogHeirsTest : public CoordinatorTest {
 protected:
  static constexpr uint64_t kNext = 60;

  LogHeirsTest() : CoordinatorTest(WithLogs()) {
    Begin();
    Beat beat{ShardId{0}};
    beat.log.term = coordinator_.view().shards.front().term;
    Say(kShard, beat);
    After(3 * kLease);
  }

  static CoordinatorOptions WithLogs() {
    CoordinatorOptions options = Options();
    options.logs = true;
    return options;
  }
};

TEST_F(LogHeirsTest, WhoComesWithoutTheLogWaitsForItsDisk) {
  Register request{ShardId{0}, "n"};
  const Outbox said = Say(kNext, request);
  ASSERT_NE(Find<Refused>(said, kNext), nullptr);
  EXPECT_EQ(Find<Refused>(said, kNext)->code, Refusal::kRankHeld);
  EXPECT_NE(Find<Refused>(said, kNext)->words.find("replication.log"), std::string::npos);
  EXPECT_EQ(coordinator_.state(), JobState::kTraining);
  const View& view = coordinator_.view();
  request.log = {view.generation, view.shards.front().term};
  EXPECT_NE(Find<Registered>(Say(kNext, request), kNext), nullptr);
}

TEST_F(LogHeirsTest, WhoComesToAJobThatHasFailedIsToldSo) {
  Say(kShard, Refused{Refusal::kFailed, 1, "no memory"});
  ASSERT_EQ(coordinator_.state(), JobState::kFailed);
  After(3 * kLease);
  const Outbox said = Say(kNext, Register{ShardId{0}, "n"});
  ASSERT_NE(Find<Refused>(said, kNext), nullptr);
  EXPECT_EQ(Find<Refused>(said, kNext)->code, Refusal::kFailed);
}

TEST_F(LogHeirsTest, ALogThatDoesNotComeIsLostAndTheWordsSaySo) {
  Say(kNext, Register{ShardId{0}, "n"});
  for (int i = 0; i < 9; ++i) {
    After(milliseconds(100));
    Say(kNext, Register{ShardId{0}, "n"});
  }
  EXPECT_EQ(coordinator_.state(), JobState::kTraining);
  After(milliseconds(200));
  Say(kNext, Register{ShardId{0}, "n"});
  EXPECT_EQ(coordinator_.state(), JobState::kFailed);
  EXPECT_NE(coordinator_.words().find("without its log"), std::string::npos);
}

}  // namespace
}  // namespace shardmill
