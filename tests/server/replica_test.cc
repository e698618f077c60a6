#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/payload.h"
#include "server/shard.h"

namespace shardmill {
namespace {

using std::chrono::milliseconds;

constexpr JobId kJob{7};
constexpr uint64_t kCoordinator = 1;
constexpr uint64_t kFirst = 10;  // Copies of shard 0: peer and boot are one number.
constexpr uint64_t kSecond = 11;
constexpr uint64_t kThird = 12;
constexpr uint64_t kWorker = 100;
constexpr TableId kDense{1};
constexpr TableId kSparse{2};
constexpr uint64_t kFloats = 600'000;  // More than one chunk.
constexpr uint32_t kDim = 3;

// The copies of one shard, wired to each other; the test plays the coordinator and the worker.
class ReplicaTest : public testing::Test {
 protected:
  ReplicaTest() {
    for (const uint64_t id : {kFirst, kSecond}) MakeCopy(id);
    view_.policy = {ApplyRule::kOnArrival, true, 4};
    view_.number = ViewNumber{1};
    view_.members = {{WorkerId{0}, Incarnation{1}, 0}, {WorkerId{1}, Incarnation{1}, 0}};
    view_.shards = {{ShardId{0}, Term{1}, BootId{kFirst}, ""}};
    view_.tables = {{kDense, {"d", kFloats, {}}, {0, kFloats}},
                    {kSparse, {"s", 0, {}, kDim}, {0, kBuckets}}};
  }

  void MakeCopy(uint64_t id) {
    ShardOptions options;
    options.boot = BootId{id};
    options.coordinator = PeerId{kCoordinator};
    options.update.rule = UpdateRule::kAdam;
    options.update.rate.base = 0.5;
    options.replicas = replicas_;
    options.window_bytes = kFloats;  // Less than what a step pushes: entries go in pieces.
    options.copy = static_cast<uint32_t>(id - kFirst);
    options.retry_after = milliseconds(10);
    copies_[id] = std::move(Shard::Make(options, frames_)).value();
    FromCoordinator(id, Welcome{}, 0);
    FromCoordinator(id, Registered{}, 0);
  }

  // Hands a message to a copy, and what it answers to whom it is for, until nothing is on its way.
  void Give(uint64_t to, uint64_t from, Stamp stamp, Message message) {
    stamp.from = BootId{from};
    if (stamp.to.value == 0) stamp.to = BootId{to};
    Outbox outbox;
    copies_.at(to)->Handle(now_, {PeerId{from}, stamp, std::move(message)}, outbox);
    Route(to, outbox);
  }
  void Route(uint64_t from, Outbox& outbox) {
    for (Outgoing& out : outbox) {
      const uint64_t to = out.peer.value;
      const auto* given = std::get_if<shardmill::Follow>(&out.message);
      if (given != nullptr) given_.push_back(given->item);
      if (!copies_.contains(to)) {
        said_[to].push_back(std::move(out.message));
      } else if (!cut_off_ && to != deaf_) {
        const auto* follow = std::get_if<shardmill::Follow>(&out.message);
        frames_most_ = std::max(frames_most_, PayloadOf(out.message).frames);
        if (follow != nullptr && std::holds_alternative<CopyPiece>(follow->what)) {
          ++pieces_;
          serves_too_early_ |= copies_.at(to)->serves();
        }
        if (const auto* followed = std::get_if<Followed>(&out.message)) item_ = followed->item;
        Give(to, from, out.stamp, std::move(out.message));
      }
    }
  }
  void FromCoordinator(uint64_t to, Message message, uint64_t term = 1) {
    Give(to, kCoordinator, {kJob, view_.generation, Term{term}, {}, {}}, std::move(message));
  }
  void Say(uint64_t to, uint32_t rank, Message message) {
    Give(to, kWorker + rank, {kJob, view_.generation, view_.shards[0].term, {}, {}},
         std::move(message));
  }
  void Tick() {
    now_ += milliseconds(20);
    for (auto& [id, copy] : copies_) {
      Outbox outbox;
      copy->Tick(now_, outbox);
      Route(id, outbox);
    }
  }

  void Install(uint64_t to, std::vector<RankState> cut = {}) {
    FromCoordinator(to, Freeze{view_.number, view_.shards[0].term});
    FromCoordinator(to, shardmill::Install{view_, std::move(cut)});
  }
  void Name(uint64_t primary, uint64_t replica, uint64_t number, bool in_sync = false) {
    FromCoordinator(primary, Replicas{ShardId{0}, number, {{1, BootId{replica}, "", 1, in_sync}}});
    copies_.at(primary)->Attach(BootId{replica}, PeerId{replica});
  }
  // Until it is in sync, and the coordinator has written that down.
  void Follow(uint64_t primary, uint64_t replica, uint64_t number = 1) {
    Name(primary, replica, number);
    for (int i = 0; i < 4; ++i) Tick();
    Name(primary, replica, number + 1, true);
    Tick();
  }
  void Begin() {
    Install(kFirst);
    Follow(kFirst, kSecond);
  }

  static Sender Who(uint32_t rank) { return {WorkerId{rank}, Incarnation{1}}; }
  void Push(uint64_t to, uint32_t rank, Step step, uint64_t key) {
    std::vector<float> gradient(kFloats);
    for (size_t i = 0; i < gradient.size(); ++i) {
      gradient[i] = static_cast<float>((i + step * 7 + rank) % 13) - 6.0F;
    }
    Say(to, rank, Unit{Who(rank), step, 0, 0, kDense, 0, Frame::CopyOf(gradient)});
    const std::vector<uint64_t> keys = {key, key + 1000};
    Unit rows{
        Who(rank), step, 0, 1, kSparse, 0, Frame::CopyOf(std::vector<float>(2 * kDim, 0.25F))};
    rows.keys = {step * 10 + rank + 1, Frame::CopyOf(std::as_bytes(std::span(keys)))};
    Say(to, rank, rows);
  }
  void Finish(uint64_t to, uint32_t rank, Step step, uint64_t key = 5) {
    Push(to, rank, step, key);
    Say(to, rank, End{Who(rank), step, 0, 2, 1});
  }
  template <class Kind>
  size_t Heard(uint64_t who) const {
    const auto found = said_.find(who);
    if (found == said_.end()) return 0;
    return static_cast<size_t>(std::ranges::count_if(
        found->second, [](const Message& m) { return std::holds_alternative<Kind>(m); }));
  }
  const Beat* LastBeat() const {
    const auto& all = said_.at(kCoordinator);
    for (auto it = all.rbegin(); it != all.rend(); ++it) {
      if (const auto* beat = std::get_if<Beat>(&*it)) return beat;
    }
    return nullptr;
  }
  void ExpectSame(uint64_t a, uint64_t b) const {
    const Shard& one = *copies_.at(a);
    const Shard& other = *copies_.at(b);
    EXPECT_EQ(one.Snapshot(kDense), other.Snapshot(kDense));
    EXPECT_EQ(one.Rows(kSparse), other.Rows(kSparse));
    EXPECT_EQ(one.States().size(), other.States().size());
    for (size_t i = 0; i < one.States().size() && i < other.States().size(); ++i) {
      EXPECT_EQ(one.States()[i].ended, other.States()[i].ended);
      EXPECT_EQ(one.States()[i].applied, other.States()[i].applied);
    }
  }

  TimePoint now_{};
  FramePool frames_{FramePool::Memory::kPrivate};
  std::map<uint64_t, std::unique_ptr<Shard>> copies_;
  std::map<uint64_t, std::vector<Message>> said_;
  View view_;
  uint32_t replicas_ = 1;
  bool cut_off_ = false;
  uint64_t deaf_ = 0;            // The copy that nothing reaches.
  uint64_t pieces_ = 0;          // Of images, that came to a copy.
  std::vector<uint64_t> given_;  // Items, as often as they were sent.
  uint64_t frames_most_ = 0;     // Of one message between copies.
  bool serves_too_early_ = false;
  uint64_t item_ = 0;  // The last that a replica took.
};

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
