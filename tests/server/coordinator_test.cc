#include "server/coordinator.h"

#include <gtest/gtest.h>

#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "common/identity.h"
#include "tests/server/coordinator_by_hand.h"

namespace shardmill {
namespace {

TEST_F(CoordinatorTest, MakesTheFirstViewWhenEverybodyIsThere) {
  Say(kShard, Register{ShardId{0}, "s"});
  Say(1, Join{WorkerId{0}});
  EXPECT_TRUE(After(milliseconds(1)).empty());
  Say(2, Join{WorkerId{1}});
  EXPECT_NE(Find<Freeze>(After(milliseconds(1)), kShard), nullptr);
  Say(kShard, Frozen{ViewNumber{1}, {}});
  const Outbox outbox = Say(kShard, Installed{ViewNumber{1}});
  ASSERT_NE(Find<Granted>(outbox, 1), nullptr);
  EXPECT_EQ(Find<Granted>(outbox, 2)->incarnation, Incarnation{1});
  EXPECT_EQ(coordinator_.view().members.size(), 2U);
  EXPECT_EQ(coordinator_.state(), JobState::kTraining);
}

// Seeds 18613 and 19107 of the simulator, once.
TEST_F(CoordinatorTest, KeepsWhoWaitsWhileTheFirstViewIsMade) {
  Say(kShard, Register{ShardId{0}, "s"});
  Say(1, Join{WorkerId{0}});
  Say(2, Join{WorkerId{1}});
  After(milliseconds(1));
  After(milliseconds(500));  // Every lease has ended.
  Say(kShard, Frozen{ViewNumber{1}, {}});
  Say(kShard, Installed{ViewNumber{1}});
  EXPECT_EQ(coordinator_.view().members.size(), 2U);
}

// Seed 37816: the incarnation was granted to whoever had the rank's slot when the cut was over.
TEST_F(CoordinatorTest, GrantsToTheProcessThatTheViewIsFor) {
  Say(kShard, Register{ShardId{0}, "s"});
  Say(1, Join{WorkerId{0}});
  Say(2, Join{WorkerId{1}});
  After(milliseconds(1));
  Say(kShard, Frozen{ViewNumber{1}, {}});
  After(milliseconds(500));  // Worker 1 falls silent before the view is installed.
  Say(3, Join{WorkerId{1}});
  const Outbox outbox = Say(kShard, Installed{ViewNumber{1}});
  EXPECT_EQ(Find<Granted>(outbox, 3), nullptr);
  EXPECT_EQ(Find<Granted>(Cut(), 3)->incarnation, Incarnation{2});
}

TEST_F(CoordinatorTest, KeepsARankForItsHolderUntilTheLeaseEnds) {
  Begin();
  EXPECT_EQ(Find<Refused>(Say(3, Join{WorkerId{0}}), 3)->code, Refusal::kRankHeld);
  After(milliseconds(200));
  EXPECT_TRUE(Say(3, Join{WorkerId{0}}).empty());
  const Outbox outbox = Cut({{WorkerId{0}, 5, 1, 5}});
  EXPECT_EQ(Find<Granted>(outbox, 3)->ended, 5U);
  EXPECT_EQ(Find<Granted>(outbox, 3)->incarnation, Incarnation{2});
  const Sender old{WorkerId{0}, Incarnation{1}};
  EXPECT_EQ(Find<Refused>(Say(1, Renew{old}), 1)->code, Refusal::kFenced);
  EXPECT_EQ(Find<Refused>(Say(1, Join{WorkerId{0}}), 1)->code, Refusal::kFenced);
}

// The lease is 100 ms, and whoever comes back is heard of in half of it.
TEST_F(CoordinatorTest, TakesARankSoonFromOneWhoseConnectionEndedUnlessItComesBack) {
  Begin();
  coordinator_.LinkEnded(now_, PeerId{1});
  EXPECT_EQ(Find<Refused>(Say(3, Join{WorkerId{0}}), 3)->code, Refusal::kRankHeld);
  After(milliseconds(40));
  Say(1, Renew{{WorkerId{0}, Incarnation{1}}});
  After(milliseconds(60));
  EXPECT_EQ(coordinator_.ranks()[0].state, RankStatus::State::kTraining);
  coordinator_.LinkEnded(now_, PeerId{1});
  After(milliseconds(60));
  EXPECT_EQ(coordinator_.ranks()[0].state, RankStatus::State::kSilent);
  EXPECT_EQ(coordinator_.ranks()[1].state, RankStatus::State::kSilent) << "its lease has ended";
  EXPECT_TRUE(Say(3, Join{WorkerId{0}}).empty());
  EXPECT_EQ(Find<Granted>(Cut(), 3)->incarnation, Incarnation{2});
}

TEST_F(CoordinatorTest, TakesAShardSoonForSilentWhoseConnectionEnded) {
  Begin();
  coordinator_.LinkEnded(now_, PeerId{kShard});
  EXPECT_FALSE(coordinator_.Silent(coordinator_.shards()[0], now_ + milliseconds(40)));
  EXPECT_TRUE(coordinator_.Silent(coordinator_.shards()[0], now_ + milliseconds(60)));
  Say(kShard, Beat{});
  EXPECT_FALSE(coordinator_.Silent(coordinator_.shards()[0], now_ + milliseconds(60)));
}

TEST_F(CoordinatorTest, TakesNobodyForDeadWhileItStoodStillItself) {
  Begin();
  Outbox outbox;
  now_ += std::chrono::seconds(30);
  coordinator_.Tick(now_, outbox);
  EXPECT_EQ(Find<Refused>(Say(3, Join{WorkerId{0}}), 3)->code, Refusal::kRankHeld);
  EXPECT_FALSE(coordinator_.Silent(coordinator_.shards()[0], now_));
  After(milliseconds(200));
  EXPECT_TRUE(Say(3, Join{WorkerId{0}}).empty());
}

TEST_F(CoordinatorTest, RefusesARankThatTheJobDoesNotHave) {
  const Outbox outbox = Say(1, Join{WorkerId{2}});
  ASSERT_NE(Find<Refused>(outbox, 1), nullptr);
  EXPECT_EQ(Find<Refused>(outbox, 1)->words,
            "there is no rank 2; the job has 2 workers, counted from 0");
}

TEST_F(CoordinatorTest, NamesWhoIsMissingWhenTheTimeToStartIsOver) {
  Say(1, Join{WorkerId{0}});
  After(milliseconds(50));
  Say(1, Join{WorkerId{0}});
  After(milliseconds(60));
  Say(1, Join{WorkerId{0}});
  now_ += milliseconds(890);
  Say(1, Join{WorkerId{0}});
  After(milliseconds(10));
  EXPECT_EQ(coordinator_.state(), JobState::kFailed);
  EXPECT_TRUE(coordinator_.timed_out());
  EXPECT_EQ(coordinator_.words(),
            "the job did not begin within 1s (cluster.start_timeout): waiting for shard 0, worker "
            "1");
}

TEST_F(CoordinatorTest, LetsNoSecondProcessTakeTheShardOfOneThatWorks) {
  Begin();
  const Outbox outbox = Say(51, Register{ShardId{0}, "s"});
  ASSERT_NE(Find<Refused>(outbox, 51), nullptr);
  EXPECT_EQ(Find<Refused>(outbox, 51)->code, Refusal::kRankHeld);
  EXPECT_EQ(coordinator_.state(), JobState::kTraining);
}

TEST_F(CoordinatorTest, NamesAShardThatIsSilentAndFailsWhenItStaysSo) {
  Begin();
  Say(kShard, Register{ShardId{0}, "tcp://host:1;local=secret"});
  After(milliseconds(200));
  EXPECT_EQ(coordinator_.words(), "shard 0 at tcp://host:1 has not been heard of for 0s");
  EXPECT_EQ(coordinator_.state(), JobState::kTraining);
  After(std::chrono::minutes(6));
  EXPECT_EQ(coordinator_.state(), JobState::kFailed);
}

TEST_F(CoordinatorTest, AnswersAShardWhereItLastCameFrom) {
  Begin();
  Outbox outbox;
  coordinator_.Handle(now_, {PeerId{77}, {kJob, {}, {}, BootId{kShard}, kBoot}, Beat{ShardId{0}}},
                      outbox);
  const Sender sender{WorkerId{0}, Incarnation{1}};
  Say(1, MakeTable{sender, {"t", 100, {}}});
  EXPECT_NE(Find<Freeze>(After(milliseconds(1)), 77), nullptr);
}

TEST_F(CoordinatorTest, FailsWithWordsWhenAShardComesBackEmpty) {
  Begin();
  After(milliseconds(200));
  Say(51, Register{ShardId{0}, "s"});
  EXPECT_EQ(coordinator_.state(), JobState::kFailed);
  EXPECT_EQ(coordinator_.words(), "shard 0 was started again; its part of the tables is lost");
  const Sender sender{WorkerId{0}, Incarnation{1}};
  EXPECT_EQ(Find<Refused>(Say(1, Renew{sender}), 1)->code, Refusal::kFailed);
}

TEST_F(CoordinatorTest, MakesATableOnceAndRefusesAnotherOfItsName) {
  Begin();
  const Sender sender{WorkerId{0}, Incarnation{1}};
  Say(1, MakeTable{sender, {"t", 100, {}}});
  EXPECT_EQ(Find<ViewIs>(Cut(), 1)->view.tables.at(0).cuts, (std::vector<uint64_t>{0, 100}));
  EXPECT_NE(Find<ViewIs>(Say(1, MakeTable{sender, {"t", 100, {}}}), 1), nullptr);
  const Outbox other = Say(1, MakeTable{sender, {"t", 99, {}}});
  EXPECT_EQ(Find<Refused>(other, 1)->code, Refusal::kBadRequest);
}

TEST_F(CoordinatorTest, CountsWhatIsLostAndWhatIsDoubleWhenAllAreDone) {
  Begin();
  Say(1, Goodbye{{WorkerId{0}, Incarnation{1}}, true, 10});
  Say(2, Goodbye{{WorkerId{1}, Incarnation{1}}, true, 10});
  Cut({{WorkerId{0}, 10, 1, 9}, {WorkerId{1}, 10, 1, 12}});
  EXPECT_EQ(coordinator_.state(), JobState::kDone);
  EXPECT_EQ(coordinator_.audit().lost, 1U);
  EXPECT_EQ(coordinator_.audit().duplicated, 2U);
}

TEST_F(CoordinatorTest, TellsAServerThatComesWhenTheJobIsDone) {
  Begin();
  Say(1, Goodbye{{WorkerId{0}, Incarnation{1}}, true, 10});
  Say(2, Goodbye{{WorkerId{1}, Incarnation{1}}, true, 10});
  Cut({{WorkerId{0}, 10, 1, 10}, {WorkerId{1}, 10, 1, 10}});
  EXPECT_EQ(Find<Refused>(Say(51, Register{ShardId{0}, "s"}), 51)->code, Refusal::kDone);
  EXPECT_NE(Find<Registered>(Say(kShard, Register{ShardId{0}, "s"}), kShard), nullptr);
  EXPECT_EQ(coordinator_.state(), JobState::kDone);
}

TEST_F(CoordinatorTest, TellsWhoWouldHaveAnyRankThatTheJobIsOver) {
  Begin();
  EXPECT_EQ(Find<Refused>(Say(3, Join{WorkerId{0}, true}), 3)->code, Refusal::kRankHeld);
  Say(1, Goodbye{{WorkerId{0}, Incarnation{1}}, true, 10});
  Say(2, Goodbye{{WorkerId{1}, Incarnation{1}}, true, 10});
  Cut({{WorkerId{0}, 10, 1, 10}, {WorkerId{1}, 10, 1, 10}});
  EXPECT_EQ(Find<Refused>(Say(3, Join{WorkerId{0}, true}), 3)->code, Refusal::kDone);
}

// The process is gone, and the next one has only what was on disk.
class RestartedCoordinatorTest : public CoordinatorTest {
 protected:
  void Restart() {
    const std::optional<CoordinatorState> state = coordinator_.TakeState();
    if (state) disk_ = *state;
    coordinator_ = Coordinator(Options(), now_, disk_);
  }

  CoordinatorState disk_;
};

TEST_F(RestartedCoordinatorTest, IsTheSameForEverybodyAndCountsItsStarts) {
  Restart();
  const std::optional<CoordinatorState> state = coordinator_.TakeState();
  ASSERT_TRUE(state.has_value());
  EXPECT_EQ(state->job, kJob);
  EXPECT_EQ(state->boot, kBoot);
  EXPECT_EQ(state->epoch, Term{2});
  EXPECT_FALSE(coordinator_.TakeState().has_value());
}

// Seed 134 of the chaos scenario "elastic": leases ended before workers had connected anew.
class ElasticCoordinatorTest : public CoordinatorTest {
 protected:
  static CoordinatorOptions Elastic() {
    CoordinatorOptions options = Options();
    options.workers_max = 2;
    options.data.leased = true;
    return options;
  }
  ElasticCoordinatorTest() : CoordinatorTest(Elastic()) {}
};

TEST_F(ElasticCoordinatorTest, TakesNobodysRankBeforeItCanHaveComeBackToTheNextProcess) {
  Begin();
  const std::optional<CoordinatorState> disk = coordinator_.TakeState();
  ASSERT_TRUE(disk.has_value());
  coordinator_ = Coordinator(Elastic(), now_, *disk);
  Say(kShard, Installed{coordinator_.decided().number});
  After(milliseconds(900));
  EXPECT_EQ(coordinator_.ranks()[0].state, RankStatus::State::kTraining);
  Say(1, Renew{{WorkerId{0}, Incarnation{1}}});
  After(milliseconds(300));
  EXPECT_EQ(coordinator_.ranks()[0].state, RankStatus::State::kSilent);
  EXPECT_EQ(coordinator_.ranks()[1].state, RankStatus::State::kSilent);
}

TEST_F(RestartedCoordinatorTest, InstallsAgainWhatWasDecidedAndThenCutsOnceMore) {
  Begin();
  const ViewNumber number = coordinator_.view().number;
  Restart();
  EXPECT_EQ(coordinator_.decided().number, number);  // People never see it go back.
  const Outbox again = After(milliseconds(20));
  ASSERT_EQ(again.size(), 1U);
  EXPECT_EQ(std::get<Install>(again[0].message).view.number, number);
  Say(kShard, Installed{number});
  EXPECT_EQ(coordinator_.view().number, number);
  // The process before may have begun a cut, and the shard stand still.
  const Outbox cut = After(milliseconds(1));
  ASSERT_EQ(cut.size(), 1U);
  EXPECT_EQ(std::get<Freeze>(cut[0].message).number, number.Next());
}

TEST_F(RestartedCoordinatorTest, KeepsARankForTheProcessThatHasIt) {
  Begin();
  Restart();
  Say(kShard, Installed{coordinator_.view().number.Next()});
  const Outbox refused = Say(3, Join{WorkerId{0}});
  ASSERT_EQ(refused.size(), 1U);
  EXPECT_EQ(std::get<Refused>(refused[0].message).code, Refusal::kRankHeld);
  const Outbox renewed = Say(1, Renew{{WorkerId{0}, Incarnation{1}}});
  ASSERT_EQ(renewed.size(), 1U);
  EXPECT_TRUE(std::holds_alternative<Renewed>(renewed[0].message));
}

TEST_F(RestartedCoordinatorTest, AsksAShardThatItDoesNotKnowToRegister) {
  Say(kShard, Register{ShardId{0}, "s"});
  Restart();
  const Outbox refused = Say(kShard, Beat{ShardId{0}});
  ASSERT_EQ(refused.size(), 1U);
  EXPECT_EQ(std::get<Refused>(refused[0].message).code, Refusal::kNotReady);
}

TEST_F(RestartedCoordinatorTest, EndsWhereItsLogIsNotTheLatest) {
  Begin();
  Restart();
  Beat beat{ShardId{0}};
  beat.view = ViewNumber{5};
  Say(kShard, beat);
  ASSERT_TRUE(coordinator_.outdated().has_value());
  EXPECT_NE(coordinator_.outdated()->message.find("shard 0 has view 5"), std::string::npos);
}

TEST_F(RestartedCoordinatorTest, RemembersWhyTheJobHasFailed) {
  Begin();
  Say(kShard, Refused{Refusal::kFailed, 1, "no memory"});
  Restart();
  EXPECT_EQ(coordinator_.state(), JobState::kFailed);
  EXPECT_EQ(coordinator_.words(), "shard 0: no memory");
}

TEST_F(CoordinatorTest, HearsEachRoleInItsOwnPlaceAlone) {
  const std::set<WorkerId> bound{WorkerId{1}};
  const Identity server{Role::kServer, std::nullopt, &bound, "server"};
  const Identity worker{Role::kWorker, std::nullopt, &bound, "worker"};
  const Identity first{Role::kWorker, WorkerId{1}, &bound, "worker-1"};
  const auto refused = [&](const Outbox& outbox, uint64_t to) {
    const Refused* answer = Find<Refused>(outbox, to);
    return answer != nullptr && answer->code == Refusal::kForbidden;
  };
  // No shard, no rank but its own, and no word that ends the job.
  EXPECT_TRUE(refused(SayAs(worker, 9, Register{ShardId{0}, "s"}), 9));
  EXPECT_FALSE(coordinator_.shards()[0].registered);
  EXPECT_TRUE(refused(SayAs(server, kShard, Join{WorkerId{0}}), kShard));
  EXPECT_TRUE(refused(SayAs(worker, 2, Join{WorkerId{1}}), 2));
  EXPECT_TRUE(refused(SayAs(first, 1, Join{WorkerId{0}}), 1));
  for (const RankStatus& rank : coordinator_.ranks()) {
    EXPECT_EQ(rank.state, RankStatus::State::kAbsent);
  }
  Begin();
  EXPECT_TRUE(refused(SayAs(worker, kShard, Refused{Refusal::kFailed, 0, "the end"}), kShard));
  EXPECT_TRUE(refused(
      SayAs(worker, 2, Goodbye{{WorkerId{1}, coordinator_.ranks()[1].incarnation}, false, 0, "x"}),
      2));
  EXPECT_EQ(coordinator_.state(), JobState::kTraining);
  EXPECT_FALSE(refused(SayAs(server, kShard, Beat{ShardId{0}}), kShard));
}

class AveragingCoordinatorTest : public CoordinatorTest {
 protected:
  static CoordinatorOptions Averaging() {
    CoordinatorOptions options = Options();
    options.update.rule = UpdateRule::kAverage;
    return options;
  }
  AveragingCoordinatorTest() : CoordinatorTest(Averaging()) {}
};

TEST_F(AveragingCoordinatorTest, HasASparseTableNameItsUpdateSinceWorkersSumEqualKeys) {
  Begin();
  const Sender sender{WorkerId{0}, Incarnation{1}};
  const Outbox outbox = Say(1, MakeTable{sender, {"rows", 0, {}, 4}});
  ASSERT_NE(Find<Refused>(outbox, 1), nullptr);
  EXPECT_NE(Find<Refused>(outbox, 1)->words.find("policy.exchange"), std::string::npos);
  EXPECT_TRUE(Say(1, MakeTable{sender, {"dense", 4, {}}}).empty());
  UpdateSettings named;
  named.rule = UpdateRule::kAverage;
  EXPECT_TRUE(Say(1, MakeTable{sender, {"means", 0, {}, 4, named}}).empty());
}

}  // namespace
}  // namespace shardmill
