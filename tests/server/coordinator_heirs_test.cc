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

// It is ahead of the new primary, and cannot go on with that one's stream.
TEST_F(HeirsTest, WhoIsAheadOfTheNewOneIsItsHeirUntilAViewHasThat) {
  LosePrimary();
  const std::vector<ShardStatus>& replicas = coordinator_.replicas(ShardId{0});
  Beat beat{ShardId{0}};
  beat.differing = std::ranges::find(replicas, BootId{kSecond}, &ShardStatus::boot)->stream;
  Say(kFirst, beat);
  LoseFirst();
  EXPECT_EQ(Primary(), kSecond);
}

TEST_F(HeirsTest, BeginsItsCopyAnewOnceAViewHasTheNewOne) {
  LosePrimary();
  After(milliseconds(1));
  Say(kFirst, Frozen{coordinator_.view().number.Next(), {}});
  const std::vector<ShardStatus>& replicas = coordinator_.replicas(ShardId{0});
  const auto second = std::ranges::find(replicas, BootId{kSecond}, &ShardStatus::boot);
  Beat beat{ShardId{0}};
  beat.differing = second->stream;
  Say(kFirst, beat);
  EXPECT_GT(second->stream, beat.differing);
}

// Of what is decided a process that was started again has taken nothing yet.
TEST_F(HeirsTest, ATableKeepsItsShapeBehindARestart) {
  TableSpec spec;
  spec.name = "t";
  spec.size = 64;
  Say(1, MakeTable{{WorkerId{0}, Incarnation{1}}, spec});
  After(milliseconds(20));
  const ViewNumber number = coordinator_.decided().number.Next();
  Say(kShard, Frozen{number, {}});
  Say(kShard, Installed{number});
  ASSERT_EQ(coordinator_.view().tables.size(), 1U);
  LosePrimary();
  const std::optional<CoordinatorState> kept = coordinator_.TakeState();
  ASSERT_TRUE(kept);
  Coordinator next(WithReplicas(), now_, *kept);
  spec.size = 4096;
  Outbox said;
  next.Handle(now_,
              {PeerId{1},
               {kJob, next.view().generation, {}, BootId{1}, kBoot},
               MakeTable{{WorkerId{0}, Incarnation{1}}, spec}},
              said);
  ASSERT_NE(Find<Refused>(said, 1), nullptr);
  EXPECT_NE(Find<Refused>(said, 1)->words.find("there is a table \"t\" already"),
            std::string::npos);
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
    Heard(std::move(outbox));
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
  for (int i = 0; i < 2; ++i) {
    now_ += milliseconds(20);
    SayAfterIt(kNext, beat);
    Live(kReplica, 1);
  }
  ASSERT_EQ(Primary(), kReplica);
  const ViewNumber number = coordinator_.decided().number.Next();
  EXPECT_NE(Find<Freeze>(After(milliseconds(20)), kReplica), nullptr);
  Say(kReplica, Frozen{number, {}});
  Live(kReplica, 1);
  const Outbox said = After(milliseconds(20));
  ASSERT_NE(Find<Install>(said, kReplica), nullptr);
  EXPECT_EQ(Find<Install>(said, kReplica)->view.generation, Generation{3});
}

// A job of two shards, which goes back as it has lost all copies of the first.
TEST(GoingBackTest, AnyCopyTakesThePlaceOfAPrimaryThatIsGone) {
  CoordinatorOptions options;
  options.job = kJob;
  options.boot = kBoot;
  options.shards = 2;
  options.replicas = 1;
  options.lease = kLease;
  options.snapshots.enabled = true;
  TimePoint now{};
  Coordinator coordinator(options, now);
  Outbox said;
  const auto say = [&](uint64_t who, Message message) {
    const Stamp stamp{kJob, coordinator.view().generation, {}, BootId{who}, kBoot};
    coordinator.Handle(now, {PeerId{who}, stamp, std::move(message)}, said);
  };
  const auto live = [&](uint64_t who, uint32_t shard, uint32_t copy) {
    Beat beat{ShardId{shard}};
    beat.copy = copy;
    for (const Outgoing& out : said) {
      const auto* asked = std::get_if<Registered>(&out.message);
      if (asked != nullptr && out.peer == PeerId{who}) beat.answers = asked->question;
    }
    say(who, beat);
  };
  for (const uint32_t shard : {0U, 1U}) {
    for (const uint32_t copy : {0U, 1U}) {
      say(50 + 10 * shard + copy, Register{ShardId{shard}, "c", copy});
    }
  }
  say(1, Join{WorkerId{0}});
  coordinator.Tick(now, said);
  for (const uint64_t who : {50, 60}) say(who, Frozen{ViewNumber{1}, {}});
  for (const uint64_t who : {50, 60}) say(who, Installed{ViewNumber{1}});
  ASSERT_EQ(coordinator.view().number, ViewNumber{1});
  const auto later = [&] { coordinator.Tick(now += milliseconds(30), said); };
  for (int i = 0; i < 6; ++i) {
    later();
    live(60, 1, 0);
    live(61, 1, 1);
  }
  now += milliseconds(1);
  say(52, Register{ShardId{0}, "n"});
  for (int i = 0; i < 6; ++i) {
    later();
    live(52, 0, 0);
    live(61, 1, 1);
  }
  EXPECT_EQ(coordinator.shards()[1].boot, BootId{61});
  EXPECT_EQ(coordinator.decided().generation, Generation{2});
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

// As on the wrong disk, or on one that was put back from a copy.
TEST_F(LogHeirsTest, WhoComesWithAnOlderLogWaitsForTheLast) {
  Register request{ShardId{0}, "n"};
  const View& view = coordinator_.view();
  request.log = {view.generation, view.shards.front().term};
  Say(kNext, request);  // Which has a term of its own now.
  After(milliseconds(1));
  const ViewNumber number = view.number.Next();
  Say(kNext, Frozen{number, {}});
  Say(kNext, Installed{number});
  Beat beat{ShardId{0}};
  beat.log.term = coordinator_.view().shards.front().term;
  Say(kNext, beat);
  After(3 * kLease);
  const Outbox said = Say(kNext + 1, request);
  ASSERT_NE(Find<Refused>(said, kNext + 1), nullptr);
  EXPECT_EQ(Find<Refused>(said, kNext + 1)->code, Refusal::kRankHeld);
  EXPECT_NE(Find<Refused>(said, kNext + 1)->words.find("found an older one"), std::string::npos);
  request.log.term = beat.log.term;
  EXPECT_NE(Find<Registered>(Say(kNext + 2, request), kNext + 2), nullptr);
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
