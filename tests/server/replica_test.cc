#include <gtest/gtest.h>

#include "tests/server/replicas_by_hand.h"

namespace shardmill {
namespace {

TEST_F(ReplicaTest, FollowsToTheBit) {
  Begin();
  for (Step step = 1; step <= 4; ++step) {
    Finish(kFirst, 0, step, step);
    Finish(kFirst, 1, step, 3);
  }
  EXPECT_EQ(Heard<Ended>(kWorker), 4U);
  EXPECT_EQ(copies_.at(kSecond)->States().at(0).ended, 4U);
  ExpectSame(kFirst, kSecond);
}

TEST_F(ReplicaTest, HasNothingToDoWhereItComesAfterTheJob) {
  FromCoordinator(kSecond, Refused{Refusal::kNotReady, 0, "who is this?"});
  FromCoordinator(kSecond, Refused{Refusal::kDone, 0, "the job is done"});
  Tick();
  EXPECT_EQ(Heard<Register>(kCoordinator), 0U);
  EXPECT_TRUE(copies_.at(kSecond)->over());
}

TEST_F(ReplicaTest, ServesOnceItHasAllThatItsPrimaryHad) {
  Install(kFirst);
  EXPECT_TRUE(copies_.at(kFirst)->serves());
  Finish(kFirst, 0, 1);
  EXPECT_FALSE(copies_.at(kSecond)->serves());
  Follow(kFirst, kSecond);
  EXPECT_GT(pieces_, 0U);
  EXPECT_FALSE(serves_too_early_);
  EXPECT_TRUE(copies_.at(kSecond)->serves());
}

TEST_F(ReplicaTest, AnswersNothingThatNoReplicaHas) {
  Begin();
  Finish(kFirst, 0, 1);
  cut_off_ = true;
  Finish(kFirst, 0, 2);
  Say(kFirst, 1, Pull{Who(1), 1, 1, kDense, 0, 8, 0});
  EXPECT_EQ(Heard<Ended>(kWorker), 1U);
  EXPECT_EQ(Heard<Pulled>(kWorker + 1), 0U);
  // Units are not shown to anybody.
  EXPECT_EQ(Heard<Held>(kWorker), 4U);
  cut_off_ = false;
  for (int i = 0; i < 3; ++i) Tick();
  EXPECT_EQ(Heard<Ended>(kWorker), 2U);
  EXPECT_EQ(Heard<Pulled>(kWorker + 1), 1U);
}

TEST_F(ReplicaTest, AnswersNothingWhileTooFewAreInSync) {
  Install(kFirst);
  FromCoordinator(kFirst, Replicas{ShardId{0}, 1, {}});
  Finish(kFirst, 0, 1);
  EXPECT_EQ(Heard<Ended>(kWorker), 0U);
  EXPECT_EQ(copies_.at(kFirst)->Status().gated, 1U);
  Follow(kFirst, kSecond, 2);
  EXPECT_EQ(Heard<Ended>(kWorker), 1U);
}

// Who hears nothing asks again: what it is to hear waits once.
TEST_F(ReplicaTest, KeepsOneAnswerForEachQuestion) {
  Begin();
  Finish(kFirst, 0, 1);
  cut_off_ = true;
  Finish(kFirst, 0, 2);
  for (int i = 0; i < 100; ++i) {
    Say(kFirst, 0, End{Who(0), 2, 0, 2, 1});
    for (const uint64_t number : {1, 2}) Say(kFirst, 1, Pull{Who(1), 1, number, kDense, 0, 8, 0});
  }
  EXPECT_EQ(copies_.at(kFirst)->Status().gated, 3U);
  cut_off_ = false;
  for (int i = 0; i < 3; ++i) Tick();
  EXPECT_EQ(copies_.at(kFirst)->Status().gated, 0U);
  EXPECT_EQ(Heard<Ended>(kWorker), 2U);
  EXPECT_EQ(Heard<Pulled>(kWorker + 1), 2U);
  Say(kFirst, 1, Pull{Who(1), 1, 2, kDense, 0, 8, 0});
  EXPECT_EQ(Heard<Pulled>(kWorker + 1), 3U);
}

// A worker that waits can say for whom.
TEST_F(ReplicaTest, NamesWhoseCopyAnAnswerWaitsFor) {
  const auto ask = [this] {
    Say(kFirst, 0, End{Who(0), 1, 0, 2, 1});
    const auto& all = said_.at(kWorker);
    const auto* refused = std::get_if<Refused>(&all.back());
    return refused != nullptr && refused->code == Refusal::kBusy ? refused->words : std::string();
  };
  Install(kFirst);
  FromCoordinator(kFirst, Replicas{ShardId{0}, 1, {}});
  Finish(kFirst, 0, 1);
  EXPECT_EQ(ask(), "its answers wait for another copy of this shard, and none is there");
  Name(kFirst, kSecond, 2);
  EXPECT_EQ(ask(), "its answers wait for copy 1, which catches up");
  for (int i = 0; i < 4; ++i) Tick();
  EXPECT_EQ(ask(),
            "its answers wait for copy 1, of which the coordinator has not noted that it has all");
  Name(kFirst, kSecond, 3, true);
  Tick();
  EXPECT_EQ(Heard<Ended>(kWorker), 1U);
  EXPECT_EQ(ask(), "") << "it has its answer";
  cut_off_ = true;
  Finish(kFirst, 0, 2);
  Say(kFirst, 0, End{Who(0), 2, 0, 2, 1});
  EXPECT_EQ(std::get<Refused>(said_.at(kWorker).back()).words,
            "its answers wait for copy 1, which has not taken all yet");
}

// It is nobody's heir before.
TEST_F(ReplicaTest, AnswersNothingBeforeTheCoordinatorKnowsWhoHasIt) {
  Install(kFirst);
  Name(kFirst, kSecond, 1);
  for (int i = 0; i < 4; ++i) Tick();
  Finish(kFirst, 0, 1);
  EXPECT_EQ(LastBeat()->in_sync, std::vector<uint64_t>{1});
  ExpectSame(kFirst, kSecond);
  EXPECT_EQ(Heard<Ended>(kWorker), 0U);
  Name(kFirst, kSecond, 2, true);
  Tick();
  EXPECT_EQ(Heard<Ended>(kWorker), 1U);
}

TEST_F(ReplicaTest, CatchesUpWhileStepsGoOn) {
  Install(kFirst);
  FromCoordinator(kFirst, Replicas{ShardId{0}, 1, {}});
  for (Step step = 1; step <= 3; ++step) Finish(kFirst, 0, step, step);
  Name(kFirst, kSecond, 2);
  cut_off_ = true;
  Tick();  // The image is taken; nothing of it arrives.
  Finish(kFirst, 1, 1, 9);
  Finish(kFirst, 0, 4, 2);
  EXPECT_EQ(Heard<Ended>(kWorker), 0U);
  cut_off_ = false;
  for (int i = 0; i < 4; ++i) Tick();
  EXPECT_EQ(LastBeat()->in_sync, std::vector<uint64_t>{1});
  Name(kFirst, kSecond, 3, true);
  Tick();
  EXPECT_EQ(Heard<Ended>(kWorker), 4U);
  ExpectSame(kFirst, kSecond);
}

// A receiver refuses a message of more.
TEST_F(ReplicaTest, SendsAStepOfThousandsOfPushesInPieces) {
  constexpr uint32_t kPushes = 5000;
  Begin();
  for (uint32_t i = 0; i < kPushes; ++i) {
    Say(kFirst, 0, Unit{Who(0), 1, 0, i, kDense, i, Frame::CopyOf(std::vector<float>{0.5F})});
  }
  Say(kFirst, 0, End{Who(0), 1, 0, kPushes, 1});
  EXPECT_EQ(Heard<Ended>(kWorker), 1U);
  EXPECT_LE(frames_most_, kTogetherFramesMax);
  ExpectSame(kFirst, kSecond);
}

TEST_F(ReplicaTest, IsPrimaryWhenTheCoordinatorSaysSoAndOwesWhatItNeverHad) {
  Begin();
  Finish(kFirst, 0, 1);
  cut_off_ = true;
  Finish(kFirst, 0, 2);
  view_.number = ViewNumber{2};
  view_.shards[0] = {ShardId{0}, Term{2}, BootId{kSecond}, ""};
  FromCoordinator(kSecond, Freeze{view_.number, Term{2}});
  EXPECT_EQ(Heard<Frozen>(kCoordinator), 1U);  // Of the first view; whom to wait for is not known.
  FromCoordinator(kSecond, Replicas{ShardId{0}, 5, {}});
  ASSERT_EQ(Heard<Frozen>(kCoordinator), 2U);
  // Another shard has step 2.
  RankState furthest;
  furthest.ended = 2;
  furthest.counted = 2;
  FromCoordinator(kSecond, shardmill::Install{view_, {furthest}});
  EXPECT_EQ(copies_.at(kSecond)->view().number, view_.number);
  EXPECT_EQ(copies_.at(kSecond)->States().at(0).ended, 1U);
  EXPECT_TRUE(copies_.at(kSecond)->primary());
  cut_off_ = false;
  // The one of before may say what it likes.
  Tick();
  Finish(kSecond, 0, 2);
  EXPECT_EQ(copies_.at(kSecond)->States().at(0).ended, 2U);
  ExpectSame(kFirst, kSecond);
}

// Its heir is gone, and is none whom it knows, until a view has the one or the other.
TEST_F(ReplicaTest, APrimaryThatHasItsPlaceBackAnswersWhenAViewHasIt) {
  in_sync_min_ = 0;
  for (const uint64_t id : {kFirst, kSecond}) MakeCopy(id);
  Begin();
  deaf_ = kSecond;
  Finish(kFirst, 0, 1);
  view_.number = ViewNumber{2};
  view_.shards[0].term = Term{3};
  FromCoordinator(kFirst, Freeze{view_.number, Term{3}});
  FromCoordinator(kFirst, Replicas{ShardId{0}, 9, {}});
  for (int i = 0; i < 4; ++i) Tick();
  EXPECT_EQ(Heard<Ended>(kWorker), 0U);
  FromCoordinator(kFirst, shardmill::Install{view_, copies_.at(kFirst)->States()});
  for (int i = 0; i < 4; ++i) Tick();
  EXPECT_EQ(Heard<Ended>(kWorker), 1U);
}

// Three copies. The first is gone after its second step, which did not reach one of the replicas;
// the second takes its place.
class PromotionTest : public ReplicaTest {
 protected:
  void Promote(uint64_t lacks_a_step) {
    replicas_ = 2;
    for (const uint64_t id : {kFirst, kSecond, kThird}) MakeCopy(id);
    Install(kFirst);
    SetReplicas(kFirst, 1, {{1, BootId{kSecond}, "", 1}, {2, BootId{kThird}, "", 2}});
    Finish(kFirst, 0, 1);
    deaf_ = lacks_a_step;
    Finish(kFirst, 0, 2);
    EXPECT_EQ(copies_.at(kSecond)->States().at(0).ended, lacks_a_step == kSecond ? 1U : 2U);
    copies_.erase(kFirst);
    deaf_ = 0;
    pieces_ = 0;
    view_.number = ViewNumber{2};
    view_.shards[0] = {ShardId{0}, Term{2}, BootId{kSecond}, ""};
    FromCoordinator(kSecond, Freeze{view_.number, Term{2}});
    FromCoordinator(kSecond, shardmill::Install{view_, copies_.at(kSecond)->States()});
    SetReplicas(kSecond, 5, {{2, BootId{kThird}, "", 3, false, true}});
  }
  void SetReplicas(uint64_t primary, uint64_t number, std::vector<ReplicaPlace> places) {
    FromCoordinator(primary, Replicas{ShardId{0}, number, places}, view_.shards[0].term.value);
    for (const ReplicaPlace& place : places) {
      copies_.at(primary)->Attach(place.boot, PeerId{place.boot.value});
    }
    for (int i = 0; i < 8; ++i) Tick();
  }
  Beat Primary() const { return copies_.at(kSecond)->Status(); }
};

TEST_F(PromotionTest, AReplicaGoesOnWithTheNewPrimary) {
  Promote(kThird);
  EXPECT_EQ(Primary().in_sync, std::vector<uint64_t>{3});
  EXPECT_EQ(pieces_, 0U);
  ExpectSame(kSecond, kThird);
  Finish(kSecond, 0, 3);
  ExpectSame(kSecond, kThird);
}

TEST_F(PromotionTest, AReplicaThatIsAheadBeginsAnew) {
  Promote(kSecond);
  EXPECT_TRUE(Primary().in_sync.empty());
  EXPECT_EQ(Primary().differing, 3U);
  SetReplicas(kSecond, 6, {{2, BootId{kThird}, "", 4}});
  EXPECT_EQ(Primary().in_sync, std::vector<uint64_t>{4});
  EXPECT_GT(pieces_, 0U);
  ExpectSame(kSecond, kThird);
}

TEST_F(ReplicaTest, AFirstViewThatComesLateDoesNotEndTheNextCut) {
  FromCoordinator(kFirst, Freeze{ViewNumber{1}, Term{1}});
  FromCoordinator(kFirst, Freeze{ViewNumber{2}, Term{1}});
  view_.generation = view_.generation.Next();
  FromCoordinator(kFirst, shardmill::Install{view_, {}});
  EXPECT_EQ(copies_.at(kFirst)->view().number, ViewNumber{1});
  view_.number = ViewNumber{2};
  FromCoordinator(kFirst, shardmill::Install{view_, {}});
  EXPECT_EQ(copies_.at(kFirst)->view().number, ViewNumber{2});
}

TEST_F(ReplicaTest, AFreezeOfACutThatIsGivenUpComesTooLate) {
  Install(kFirst);
  FromCoordinator(kFirst, Freeze{ViewNumber{3}, Term{1}});
  FromCoordinator(kFirst, Freeze{ViewNumber{2}, Term{1}});
  view_.number = ViewNumber{3};
  FromCoordinator(kFirst, shardmill::Install{view_, {}});
  EXPECT_EQ(copies_.at(kFirst)->view().number, ViewNumber{3});
}

// The coordinator may have heard late that it wants to be a copy, and take it for one.
TEST_F(ReplicaTest, APrimaryThatIsToFollowALaterOneHasLostItsPlace) {
  Begin();
  const shardmill::Follow item{ShardId{0}, 9, 1, CopyHead{view_, 0, {}, {}}};
  Give(kFirst, kSecond, {kJob, view_.generation, Term{1}, {}, {}}, item);
  EXPECT_FALSE(copies_.at(kFirst)->failure());
  Give(kFirst, kSecond, {kJob, view_.generation, Term{2}, {}, {}}, item);
  ASSERT_TRUE(copies_.at(kFirst)->failure());
  EXPECT_EQ(copies_.at(kFirst)->failure()->code, ErrorCode::kFenced);
}

// Its heir was gone before a view had it; another copy may be needed with what it has.
TEST_F(ReplicaTest, APrimaryThatHasItsPlaceAgainGivesNoImageBeforeAViewHasIt) {
  Begin();
  Finish(kFirst, 0, 1);
  view_.number = ViewNumber{2};
  view_.shards[0].term = Term{3};
  FromCoordinator(kFirst, Freeze{view_.number, Term{3}});
  EXPECT_EQ(copies_.at(kFirst)->term(), Term{3});
  pieces_ = 0;
  FromCoordinator(kFirst, Replicas{ShardId{0}, 5, {{1, BootId{kSecond}, "", 7, false, true}}});
  copies_.at(kFirst)->Attach(BootId{kSecond}, PeerId{kSecond});
  for (int i = 0; i < 8; ++i) Tick();
  EXPECT_EQ(pieces_, 0U);
  FromCoordinator(kFirst, shardmill::Install{view_, copies_.at(kFirst)->States()});
  for (int i = 0; i < 8; ++i) Tick();
  EXPECT_GT(pieces_, 0U);
  ExpectSame(kFirst, kSecond);
}

TEST_F(ReplicaTest, LooksWhetherACopyIsStillOne) {
  Begin();
  Finish(kFirst, 0, 1);
  for (int i = 0; i < 100; ++i) Tick();
  EXPECT_EQ(LastBeat()->differing, 0U);
  // A replica that has taken an entry which its primary never made.
  Entry entry{2, {{WorkerId{1}, 1, 1, false, 0, {}}}, {{kDense, 0.5F, {}}}};
  entry.changes[0].parts.push_back({64, 1, Frame::CopyOf(std::vector<float>{1})});
  const uint64_t item = item_;
  Give(kSecond, kFirst, {kJob, {}, Term{1}, {}, {}},
       shardmill::Follow{ShardId{0}, 1, item + 1, entry});
  for (int i = 0; i < 1000 && LastBeat()->differing == 0; ++i) Tick();
  EXPECT_EQ(LastBeat()->differing, 1U);
}

TEST_F(ReplicaTest, ReplicasServeNobody) {
  Begin();
  Say(kSecond, 0, Pull{Who(0), 1, 1, kDense, 0, 8, 0});
  ASSERT_EQ(Heard<Refused>(kWorker), 1U);
  EXPECT_EQ(std::get<Refused>(said_.at(kWorker).back()).code, Refusal::kOldView);
}

}  // namespace
}  // namespace shardmill
