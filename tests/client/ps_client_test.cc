#include "client/ps_client.h"

#include <gtest/gtest.h>

#include <utility>
#include <vector>

namespace shardmill {
namespace {

using std::chrono::milliseconds;

constexpr BootId kClient{5};
constexpr BootId kCoordinatorBoot{6};
constexpr PeerId kCoordinator{1};
constexpr uint64_t kFloats = 16;

PeerId PeerOf(uint32_t shard) { return PeerId{10 + shard}; }
BootId BootOf(uint32_t shard) { return BootId{20 + shard}; }

// A client of two shards that has joined, spoken to by hand. Units of two floats, a window of two.
class PsClientTest : public testing::Test {
 protected:
  PsClientTest() : client_(Options(), frames_), values_(kFloats) {
    Hear(kCoordinator, kCoordinatorBoot, Welcome{});
    Hear(kCoordinator, kCoordinatorBoot, Granted{WorkerId{0}, Incarnation{1}, 0});
    View view;
    view.number = ViewNumber{1};
    view.members = {{WorkerId{0}, Incarnation{1}, 0}};
    view.tables = {{TableId{1}, {"t", kFloats, {}}, {0, kFloats / 2, kFloats}}};
    for (uint32_t i = 0; i < 2; ++i) {
      view.shards.push_back({ShardId{i}, Term{1}, BootOf(i), "tcp://shard-" + std::to_string(i)});
    }
    Hear(kCoordinator, kCoordinatorBoot, ViewIs{view});
    for (uint32_t i = 0; i < 2; ++i) client_.Attach(ShardId{i}, PeerOf(i));
    for (uint32_t i = 0; i < 2; ++i) Hear(PeerOf(i), BootOf(i), Welcome{});
  }

  static PsClientOptions Options() {
    PsClientOptions options;
    options.boot = kClient;
    options.coordinator = kCoordinator;
    options.retry_after = milliseconds(10);
    options.unit_bytes = 2 * sizeof(float);
    options.window_bytes = 4 * sizeof(float);
    return options;
  }

  // What the client says to a message.
  Outbox Hear(PeerId peer, BootId boot, Message message) {
    Outbox outbox;
    client_.Handle(now_, {peer, {JobId{7}, {}, Term{1}, boot, kClient}, std::move(message)},
                   outbox);
    return outbox;
  }
  Outbox HearHeld(uint32_t shard, uint32_t index, uint32_t attempt = 0) {
    return Hear(PeerOf(shard), BootOf(shard), Held{WorkerId{0}, 1, attempt, index});
  }
  Outbox After(milliseconds time) {
    Outbox outbox;
    now_ += time;
    client_.Tick(now_, outbox);
    return outbox;
  }
  Outbox Push() {
    Outbox outbox;
    EXPECT_TRUE(client_.Push(now_, *client_.FindTable("t"), 0, values_, outbox).ok());
    return outbox;
  }
  Outbox EndStep() {
    Outbox outbox;
    client_.EndStep(now_, 1, outbox);
    return outbox;
  }

  template <class Kind>
  static int Count(const Outbox& outbox) {
    int count = 0;
    for (const Outgoing& out : outbox) count += std::holds_alternative<Kind>(out.message) ? 1 : 0;
    return count;
  }

  TimePoint now_{};
  FramePool frames_{FramePool::Memory::kPrivate};
  PsClient client_;
  std::vector<float> values_;
};

TEST_F(PsClientTest, IsReadyWhenEveryShardSaidWelcome) {
  EXPECT_TRUE(client_.Ready());
  EXPECT_EQ(client_.step(), 1U);
}

TEST_F(PsClientTest, KeepsTheWindowOfEachShard) {
  EXPECT_EQ(Count<Unit>(Push()), 4);  // Two of four, to each of two shards.
  EXPECT_EQ(Count<Unit>(HearHeld(0, 0)), 1);
  EXPECT_EQ(Count<Unit>(HearHeld(0, 0)), 0);
}

TEST_F(PsClientTest, AsksAgainAfterTheRetryTimeAndThenLater) {
  EXPECT_EQ(Count<Unit>(Push()), 4);
  EXPECT_EQ(Count<Unit>(After(milliseconds(9))), 0);
  EXPECT_EQ(Count<Unit>(After(milliseconds(1))), 4);
  EXPECT_EQ(Count<Unit>(After(milliseconds(19))), 0);
  EXPECT_EQ(Count<Unit>(After(milliseconds(1))), 4);
}

TEST_F(PsClientTest, EndsAStepOnlyWhenAllItsUnitsAreHeldEverywhere) {
  Push();
  EXPECT_EQ(Count<End>(EndStep()), 0);
  for (uint32_t index = 0; index < 4; ++index) HearHeld(0, index);
  for (uint32_t index = 0; index < 3; ++index) HearHeld(1, index);
  EXPECT_EQ(Count<End>(After(milliseconds(50))), 0);
  EXPECT_EQ(Count<End>(HearHeld(1, 3)), 2);
  Hear(PeerOf(0), BootOf(0), shardmill::Ended{WorkerId{0}, 1});
  EXPECT_FALSE(client_.Ended());
  Hear(PeerOf(1), BootOf(1), shardmill::Ended{WorkerId{0}, 1});
  EXPECT_TRUE(client_.Ended());
}

TEST_F(PsClientTest, EndsNoStepThatAShardHasFoundToBeNoNumber) {
  Push();
  EndStep();
  for (uint32_t index = 0; index < 4; ++index) HearHeld(0, index);
  for (uint32_t index = 0; index < 3; ++index) HearHeld(1, index);
  const Outbox last = Hear(PeerOf(1), BootOf(1), Held{WorkerId{0}, 1, 0, 3, true});
  EXPECT_EQ(Count<End>(last), 0);
  ASSERT_TRUE(client_.failure().has_value());
  EXPECT_EQ(client_.failure()->code, ErrorCode::kBadInput);
}

TEST_F(PsClientTest, BeginsAStepAnewUnderAnotherAttempt) {
  Push();
  client_.AbandonStep();
  const Outbox again = Push();
  ASSERT_FALSE(again.empty());
  EXPECT_EQ(std::get<Unit>(again[0].message).attempt, 1U);
  EXPECT_EQ(Count<Unit>(HearHeld(0, 0, 0)), 0);  // An answer to what is no more.
  EXPECT_EQ(Count<Unit>(HearHeld(0, 0, 1)), 1);
}

TEST_F(PsClientTest, FillsTheCallersSpanAndTellsHowStaleItIs) {
  Outbox outbox;
  const auto ticket =
      client_.Pull(now_, *client_.FindTable("t"), 0, std::span(values_).first(2), {}, outbox);
  ASSERT_TRUE(ticket.ok());
  ASSERT_EQ(outbox.size(), 1U);
  const uint64_t id = std::get<shardmill::Pull>(outbox[0].message).pull;
  const Frame answer = Frame::CopyOf(std::vector<float>{3, 4});
  Hear(PeerOf(0), BootOf(0), Pulled{id, 5, 6, 2, {answer}});
  ASSERT_TRUE(client_.Done(ticket.value()));
  EXPECT_EQ(values_[1], 4);
  EXPECT_EQ(client_.Take(ticket.value()).staleness, 2U);
}

TEST_F(PsClientTest, RefusesARangeThatIsNotInTheTable) {
  Outbox outbox;
  const auto ticket = client_.Push(now_, *client_.FindTable("t"), 1, values_, outbox);
  ASSERT_FALSE(ticket.ok());
  EXPECT_EQ(ticket.error().message, "the floats 1 + 16 are not in table \"t\", which has 16");
}

TEST_F(PsClientTest, IsFencedForGood) {
  Hear(PeerOf(0), BootOf(0), Refused{Refusal::kFenced, 0, "another process holds rank 0"});
  ASSERT_TRUE(client_.fenced());
  EXPECT_EQ(client_.failure()->message, "shard 0: another process holds rank 0");
}

TEST_F(PsClientTest, NamesWhomItWaitsFor) {
  Push();
  EndStep();
  EXPECT_EQ(client_.WaitsFor(), "shard 0 at tcp://shard-0 to hold the units of step 1");
  for (uint32_t shard = 0; shard < 2; ++shard) {
    for (uint32_t index = 0; index < 4; ++index) HearHeld(shard, index);
  }
  Hear(PeerOf(0), BootOf(0), Waiting{1, false, WorkerId{3}, 1});
  EXPECT_EQ(client_.WaitsFor(), "shard 0, which waits for worker 3 to finish round 1");
}

TEST_F(PsClientTest, SaysWhatAShardSaysThatCannotAnswerYet) {
  Push();
  Hear(PeerOf(0), BootOf(0), Refused{Refusal::kNotReady, 1, "no view with this worker yet"});
  EXPECT_EQ(client_.WaitsFor(), "shard 0, which says: no view with this worker yet");
}

TEST_F(PsClientTest, ForgetsWhatKeptAShardOnceItHasAnswered) {
  Outbox outbox;
  const auto ticket =
      client_.Pull(now_, *client_.FindTable("t"), 0, std::span(values_).first(2), {}, outbox);
  ASSERT_TRUE(ticket.ok());
  Hear(PeerOf(0), BootOf(0), Waiting{1, true, WorkerId{3}, 1});
  const uint64_t id = std::get<shardmill::Pull>(outbox[0].message).pull;
  Hear(PeerOf(0), BootOf(0), Pulled{id, 1, 1, 0, {Frame::CopyOf(std::vector<float>{3, 4})}});
  EndStep();
  EXPECT_EQ(client_.WaitsFor(), "shard 0 at tcp://shard-0 to end step 1");
}

// The same, with an eye on what it asks for.
class PsClientPullTest : public PsClientTest {
 protected:
  // Pulls two floats of the first shard's.
  Ticket Ask(uint64_t begin, const PullOptions& options) {
    return client_
        .Pull(now_, *client_.FindTable("t"), begin, std::span(values_).subspan(begin, 2), options,
              outbox_)
        .value();
  }
  // Answers a pull that was sent with the number of its first float.
  Outbox Answer(const Outgoing& sent) {
    const auto& pull = std::get<shardmill::Pull>(sent.message);
    const auto value = static_cast<float>(pull.begin);
    const Frame values = Frame::CopyOf(std::vector<float>(pull.count, value));
    return Hear(sent.peer, BootOf(sent.peer == PeerOf(0) ? 0 : 1),
                Pulled{pull.pull, 1, 1, 0, {values}});
  }
  static const shardmill::Pull* PullOf(const Outbox& sent, size_t i) {
    return i < sent.size() ? std::get_if<shardmill::Pull>(&sent[i].message) : nullptr;
  }
  void HearAllHeldAndEnded(Step next) {
    for (uint32_t shard = 0; shard < 2; ++shard) {
      for (uint32_t index = 0; index < 4; ++index) HearHeld(shard, index);
    }
    for (uint32_t shard = 0; shard < 2; ++shard) {
      Hear(PeerOf(shard), BootOf(shard), Ended{WorkerId{0}, 1, next != 2, next, {}});
    }
  }

  Outbox outbox_;
};

TEST_F(PsClientPullTest, AsksBeyondItsWindowByPriority) {
  for (const auto& [begin, priority] : {std::pair{0, 0}, {2, 0}, {4, 1}, {6, 5}}) {
    Ask(static_cast<uint64_t>(begin), {.priority = priority});
  }
  ASSERT_EQ(outbox_.size(), 2U);  // A window of four floats.
  const Outbox next = Answer(outbox_[0]);
  ASSERT_NE(PullOf(next, 0), nullptr);
  EXPECT_EQ(PullOf(next, 0)->begin, 6U);
  const Outbox last = Answer(outbox_[1]);
  ASSERT_NE(PullOf(last, 0), nullptr);
  EXPECT_EQ(PullOf(last, 0)->begin, 4U);
}

TEST_F(PsClientPullTest, SendsThePullsOfTheNextStepBehindTheEndOfThisOne) {
  const Ticket ticket = Ask(2, {.next_step = true});
  EXPECT_TRUE(outbox_.empty());
  EXPECT_TRUE(client_.IsForNextStep(ticket));
  Push();
  EndStep();
  for (uint32_t index = 0; index < 4; ++index) HearHeld(1, index);
  Outbox sent;
  for (uint32_t index = 0; index < 4; ++index) sent = HearHeld(0, index);
  ASSERT_EQ(Count<End>(sent), 2);
  ASSERT_EQ(Count<shardmill::Pull>(sent), 1);
  EXPECT_EQ(PullOf(sent, 2)->step, 2U);
  Answer(sent[2]);
  HearAllHeldAndEnded(2);
  ASSERT_TRUE(client_.Ended());
  client_.NextStep();
  EXPECT_TRUE(client_.Done(ticket));
  EXPECT_EQ(values_[2], 2);
  EXPECT_EQ(client_.Take(ticket).version, 1U);
}

TEST_F(PsClientPullTest, AsksAnewForAStepThatIsNotTheOneAfter) {
  const Ticket ticket = Ask(2, {.next_step = true});
  Push();
  EndStep();
  Outbox sent;
  for (uint32_t shard = 0; shard < 2; ++shard) {
    for (uint32_t index = 0; index < 4; ++index) sent = HearHeld(shard, index);
  }
  ASSERT_EQ(Count<shardmill::Pull>(sent), 1);
  Answer(sent[2]);
  HearAllHeldAndEnded(4);  // It was discarded, and the others are at step 4.
  client_.NextStep();
  EXPECT_FALSE(client_.Done(ticket));
  const Outbox again = After(milliseconds(1));
  ASSERT_EQ(Count<shardmill::Pull>(again), 1);
  EXPECT_EQ(PullOf(again, 0)->step, 4U);
}

TEST_F(PsClientPullTest, KeepsWhatIsReadWhereItCameIn) {
  const auto ticket = client_.Read(now_, *client_.FindTable("t"), 0, 4, {}, outbox_);
  ASSERT_TRUE(ticket.ok());
  ASSERT_EQ(outbox_.size(), 2U);
  Answer(outbox_[1]);
  Answer(outbox_[0]);
  ASSERT_TRUE(client_.Done(ticket.value()));
  client_.Take(ticket.value());
  const std::span<const ReadPiece> pieces = client_.Pieces(ticket.value());
  ASSERT_EQ(pieces.size(), 2U);
  EXPECT_EQ(pieces[0].begin, 0U);
  EXPECT_EQ(pieces[1].begin, 2U);
  EXPECT_EQ(pieces[1].values[1], 2);
}

TEST_F(PsClientPullTest, GivesBackWhatWasReadBeforeItEndsTheStep) {
  const TablePlace& table = *client_.FindTable("t");
  const Ticket ticket = client_.Read(now_, table, 0, 2, {}, outbox_).value();
  const Frame values = Frame::CopyOf(std::vector<float>{1, 2});
  const Frame later = Frame::CopyOf(std::vector<float>{3, 4});
  Hear(PeerOf(0), BootOf(0), Pulled{PullOf(outbox_, 0)->pull, 1, 1, 0, {values}});
  client_.Take(ticket);
  const Ticket next = client_.Read(now_, table, 0, 2, {.next_step = true}, outbox_).value();
  EXPECT_FALSE(values.Unique());
  const Outbox sent = EndStep();
  EXPECT_TRUE(values.Unique());
  EXPECT_TRUE(client_.Pieces(ticket).empty());
  // What comes for the next step stays.
  Hear(PeerOf(0), BootOf(0), Pulled{PullOf(sent, 2)->pull, 1, 1, 0, {later}});
  HearAllHeldAndEnded(2);
  client_.NextStep();
  EXPECT_FALSE(later.Unique());
  EXPECT_EQ(client_.Pieces(next).front().values[1], 4);
}

TEST_F(PsClientPullTest, LetsGoOfWhatWasReadWhereItIsGivenBack) {
  const Ticket ticket = client_.Read(now_, *client_.FindTable("t"), 0, 2, {}, outbox_).value();
  const Frame values = Frame::CopyOf(std::vector<float>{1, 2});
  client_.GiveBack(ticket);  // Not before it is there.
  Hear(PeerOf(0), BootOf(0), Pulled{PullOf(outbox_, 0)->pull, 1, 1, 0, {values}});
  EXPECT_EQ(client_.Pieces(ticket).size(), 1U);
  client_.GiveBack(ticket);
  EXPECT_TRUE(values.Unique());
  EXPECT_TRUE(client_.Pieces(ticket).empty());
}

TEST_F(PsClientPullTest, PushesLentMemoryWithoutACopy) {
  std::span<float> floats;
  const Frame lent = client_.Lend(kFloats, floats);
  floats[2] = 7;
  ASSERT_TRUE(client_.Push(now_, *client_.FindTable("t"), 0, floats, outbox_).ok());
  const auto& second = std::get<Unit>(outbox_[1].message);
  EXPECT_EQ(second.gradient.floats().data(), &floats[2]);
  EXPECT_EQ(second.gradient.floats()[0], 7);
}

// Nobody else would tell it that a shard is another process by now.
TEST_F(PsClientTest, AsksForTheViewWhileAShardDoesNotAnswerAndNotElse) {
  EXPECT_EQ(Count<GetView>(After(milliseconds(1000))), 0);
  Push();
  EXPECT_EQ(Count<GetView>(After(milliseconds(9))), 0);
  EXPECT_EQ(Count<GetView>(After(milliseconds(1))), 1);
  EXPECT_EQ(Count<GetView>(After(milliseconds(10))), 1);
  EXPECT_EQ(Count<GetView>(After(milliseconds(19))), 0) << "later each time";
  EXPECT_EQ(Count<GetView>(After(milliseconds(1))), 1);
  for (uint32_t shard = 0; shard < 2; ++shard) {
    for (uint32_t index = 0; index < 4; ++index) HearHeld(shard, index);
  }
  EXPECT_EQ(Count<GetView>(After(milliseconds(1000))), 0);
  EndStep();
  EXPECT_EQ(Count<GetView>(After(milliseconds(10))), 1);
}

TEST_F(PsClientTest, AsksForTheViewWhileAPullIsNotAnswered) {
  Outbox outbox;
  const auto ticket =
      client_.Pull(now_, *client_.FindTable("t"), 0, std::span(values_).first(2), {}, outbox);
  ASSERT_TRUE(ticket.ok());
  EXPECT_EQ(Count<GetView>(After(milliseconds(10))), 1);
}

// The job has gone back: shard 1 is another process.
class PsClientRollbackTest : public PsClientTest {
 protected:
  static constexpr BootId kOther{31};
  static constexpr Generation kNext{1};

  Outbox HearInNext(PeerId peer, BootId boot, Message message) {
    Outbox outbox;
    client_.Handle(now_, {peer, {JobId{7}, kNext, Term{1}, boot, kClient}, std::move(message)},
                   outbox);
    return outbox;
  }
  Outbox HearOfIt() {
    View view = client_.view();
    view.number = view.number.Next();
    view.generation = kNext;
    view.shards[1].boot = kOther;
    view.shards[1].endpoint = "tcp://other";
    return HearInNext(kCoordinator, kCoordinatorBoot, ViewIs{view});
  }
  Outbox HearWhere(Step ended) {
    return HearInNext(kCoordinator, kCoordinatorBoot, Granted{WorkerId{0}, Incarnation{1}, ended});
  }
};

TEST_F(PsClientRollbackTest, DropsWhatWasUnderWayAndAsksWhereItGoesOn) {
  Push();
  EndStep();
  const Outbox outbox = HearOfIt();
  EXPECT_EQ(Count<Join>(outbox), 1);
  EXPECT_TRUE(client_.rolled_back());
  EXPECT_FALSE(client_.ending());
  EXPECT_EQ(Count<Unit>(After(milliseconds(100))), 0);
  ASSERT_EQ(client_.Unattached().size(), 1U);
  EXPECT_EQ(client_.Unattached()[0].endpoint, "tcp://other");
}

TEST_F(PsClientRollbackTest, GoesOnAfterTheStepThatItIsToldOnceAllShardsHaveSaidWelcome) {
  HearOfIt();
  EXPECT_FALSE(client_.Ready());
  HearWhere(4);
  EXPECT_FALSE(client_.Ready()) << "shard 1 has not been greeted";
  client_.Attach(ShardId{1}, PeerOf(1));
  HearInNext(PeerOf(1), kOther, Welcome{});
  EXPECT_TRUE(client_.Ready());
  EXPECT_EQ(client_.step(), 5U);
  EXPECT_EQ(client_.generation(), kNext);
}

TEST_F(PsClientRollbackTest, SaysWhereItIsOnlyToWhoeverHasTakenThatItWentBack) {
  const Generation before = client_.generation();
  HearOfIt();
  HearWhere(4);
  EXPECT_EQ(client_.step(), 5U);
  EXPECT_EQ(client_.told_step(), 1U);
  EXPECT_EQ(client_.told_generation(), before);
  client_.TakeRollback();
  EXPECT_EQ(client_.told_step(), 5U);
  EXPECT_GT(client_.told_generation(), before);
}

TEST_F(PsClientRollbackTest, TakesNoGrantOfTheGenerationBefore) {
  HearOfIt();
  Hear(kCoordinator, kCoordinatorBoot, Granted{WorkerId{0}, Incarnation{1}, 9});
  EXPECT_FALSE(client_.granted());
  HearWhere(4);
  EXPECT_EQ(client_.step(), 5U);
}

TEST_F(PsClientRollbackTest, WaitsForTheViewWhereTheGrantComesFirst) {
  EXPECT_EQ(Count<GetView>(HearWhere(4)), 1);
  EXPECT_FALSE(client_.rolled_back());
  EXPECT_EQ(client_.step(), 1U);
}

TEST_F(PsClientRollbackTest, WritesNoAnswerOfTheGenerationBefore) {
  Outbox outbox;
  ASSERT_TRUE(
      client_.Pull(now_, *client_.FindTable("t"), 0, std::span(values_).first(2), {}, outbox).ok());
  const uint64_t id = std::get<shardmill::Pull>(outbox[0].message).pull;
  HearOfIt();
  Hear(PeerOf(0), BootOf(0), Pulled{id, 1, 1, 0, {Frame::CopyOf(std::vector<float>{3, 4})}});
  EXPECT_EQ(values_[0], 0);
  EXPECT_FALSE(client_.failure());
}

TEST(PsClientWaitTest, NamesTheCoordinatorWhileItHasNoView) {
  PsClientOptions options;
  options.boot = kClient;
  options.coordinator = kCoordinator;
  FramePool frames(FramePool::Memory::kPrivate);
  PsClient client(options, frames);
  Outbox outbox;
  const Stamp stamp{JobId{7}, {}, Term{1}, kCoordinatorBoot, kClient};
  client.Handle({}, {kCoordinator, stamp, Welcome{}}, outbox);
  client.Handle({}, {kCoordinator, stamp, Granted{WorkerId{0}, Incarnation{1}, 0}}, outbox);
  EXPECT_EQ(client.WaitsFor(), "the coordinator to say where the shards are");
}

}  // namespace
}  // namespace shardmill
