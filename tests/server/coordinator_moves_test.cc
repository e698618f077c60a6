// Shards that go to other servers, as the coordinator sees them.
#include <gtest/gtest.h>

#include "tests/server/coordinator_by_hand.h"

namespace shardmill {
namespace {

constexpr uint64_t kNew = 52;  // The process of the shard's next copy.
constexpr uint64_t kTool = 60;

// What servers and an operator say of a job, beside its shards.
template <class Job>
class WithServers : public Job {
 protected:
  WithServers() { HearAll(); }

  static uint64_t Server(uint32_t index) { return 70 + index; }
  Hosting Hear(uint32_t index, bool leaving = false) {
    const Outbox answers = this->Say(Server(index), Host{index, leaving});
    const auto* hosting = this->template Find<Hosting>(answers, Server(index));
    EXPECT_NE(hosting, nullptr);
    return hosting == nullptr ? Hosting{} : *hosting;
  }
  void HearAll() {
    for (uint32_t i = 0; i < 3; ++i) Hear(i);
  }
  Balance Ask(std::vector<uint32_t> drained, bool begin) {
    const Outbox answers = this->Say(kTool, Rebalance{std::move(drained), begin});
    const auto* balance = this->template Find<Balance>(answers, kTool);
    EXPECT_NE(balance, nullptr);
    return balance == nullptr ? Balance{} : *balance;
  }
};

class BegunTest : public CoordinatorTest {
 protected:
  BegunTest() { Begin(); }
};

// One shard on the first of three servers.
class MovesTest : public WithServers<BegunTest> {
 protected:
  // The primary waits for the copy.
  void BeInSync() {
    Beat beat{ShardId{0}};
    beat.in_sync = {coordinator_.replicas(ShardId{0}).front().stream};
    Say(kShard, beat);
  }
  // The copy says that it is there when it is asked.
  void TakeOver() {
    After(milliseconds(1));
    Beat beat{ShardId{0}};
    beat.copy = 1;
    Say(kNew, beat);
    After(milliseconds(1));
  }
  uint64_t Primary() const { return coordinator_.shards().front().boot.value; }
};

// And a replica of it there, too, until the shard has gone to the second.
class ReplicaMovesTest : public WithServers<ReplicaCoordinatorTest> {
 protected:
  static constexpr uint64_t kMoved = 53;  // The primary is copy 2 now.

  ReplicaMovesTest() {
    Ask({0}, true);
    Say(kMoved, Register{ShardId{0}, "m", 2});
    AllBeInSync(kShard, 0);
    Tick();
    Speak(kMoved, 2, 0);
    Tick();
    const ViewNumber number = coordinator_.view().number.Next();
    Tick();
    Say(kMoved, Frozen{number, {}});
    Say(kMoved, Installed{number});
    AllBeInSync(kMoved, 2);
  }

  void Tick() { After(milliseconds(1)); }
  void AllBeInSync(uint64_t primary, uint32_t copy) {
    Beat beat{ShardId{0}};
    beat.copy = copy;
    for (const ShardStatus& replica : coordinator_.replicas(ShardId{0})) {
      beat.in_sync.push_back(replica.stream);
    }
    Say(primary, beat);
  }
  void Speak(uint64_t who, uint32_t copy, uint64_t version) {
    Beat beat{ShardId{0}};
    beat.copy = copy;
    beat.version = version;
    Say(who, beat);
  }
};

TEST_F(MovesTest, AServerHearsWhatItHolds) {
  EXPECT_EQ(Hear(0).copies, (std::vector<HostedCopy>{{ShardId{0}, 0}}));
  EXPECT_TRUE(Hear(1).copies.empty());
}

TEST(FirstPlacesTest, EachCopyOfAShardIsOnAnotherServer) {
  CoordinatorOptions options;
  options.shards = 8;
  options.shards_per_server = 2;
  options.replicas = 3;
  const Coordinator coordinator(options, {});
  for (uint32_t host = 0; host < 4; ++host) {
    const Hosting hosting = coordinator.HostingOf(host);
    ASSERT_EQ(hosting.copies.size(), 8U);
    for (uint32_t place = 0; place < 8; ++place) {
      const uint32_t copy = place / 2;
      const uint32_t home = (host + 4 - copy) % 4;
      EXPECT_EQ(hosting.copies[place].copy, copy);
      EXPECT_EQ(hosting.copies[place].shard.value / 2, home);
    }
  }
}

TEST_F(MovesTest, APlanIsOnlySaidUntilSomebodyHasItBegun) {
  const Move move{ShardId{0}, 0, 0, 1, true};
  EXPECT_TRUE(Ask({}, false).moves.empty()) << "one shard is where it should be";
  EXPECT_EQ(Ask({0}, false).moves, std::vector<Move>{move});
  EXPECT_TRUE(Hear(1).copies.empty());
  EXPECT_EQ(Ask({0}, true).moves, std::vector<Move>{move});
  EXPECT_EQ(Hear(1).copies, (std::vector<HostedCopy>{{ShardId{0}, 1}}));
  ASSERT_EQ(Ask({0}, true).moves.size(), 1U);
  EXPECT_EQ(Ask({0}, true).moves.front().words, "is opened");
}

TEST_F(MovesTest, TheNewCopyTakesThePlaceWhenItHasAll) {
  Ask({0}, true);
  Say(kNew, Register{ShardId{0}, "n", 1});
  After(milliseconds(1));
  EXPECT_EQ(Primary(), kShard) << "it has nothing yet";
  BeInSync();
  TakeOver();
  EXPECT_EQ(Primary(), kNew);
  EXPECT_EQ(Hear(0).copies.size(), 1U) << "the new one may be gone before a view has it";
  ASSERT_EQ(Ask({0}, true).moves.size(), 1U);
  EXPECT_EQ(Ask({0}, true).moves.front().words, "takes over");
  After(milliseconds(1));
  Say(kNew, Frozen{coordinator_.view().number.Next(), {}});
  EXPECT_TRUE(Hear(0).copies.empty());
  EXPECT_EQ(Hear(1).copies, (std::vector<HostedCopy>{{ShardId{0}, 1}}));
  EXPECT_TRUE(Ask({0}, true).moves.empty());
  const std::optional<CoordinatorState> kept = coordinator_.TakeState();
  ASSERT_TRUE(kept);
  const Coordinator next(Options(), now_, *kept);
  EXPECT_EQ(next.HostingOf(1).copies, (std::vector<HostedCopy>{{ShardId{0}, 1}}));
  EXPECT_TRUE(next.HostingOf(0).copies.empty());
}

TEST_F(MovesTest, TheNewCopyTakesThePlaceOnlyWhenItHasJustSpoken) {
  Ask({0}, true);
  Say(kNew, Register{ShardId{0}, "n", 1});
  After(milliseconds(30));
  BeInSync();
  EXPECT_NE(Find<Registered>(After(milliseconds(20)), kNew), nullptr) << "it is asked for a word";
  EXPECT_EQ(Primary(), kShard) << "it may be gone, and not missed yet";
  TakeOver();
  EXPECT_EQ(Primary(), kNew);
}

TEST_F(MovesTest, ACopyThatIsGoneAsItTakesThePlaceGivesItBack) {
  Ask({0}, true);
  Say(kNew, Register{ShardId{0}, "n", 1});
  BeInSync();
  TakeOver();
  ASSERT_EQ(Primary(), kNew);
  for (int i = 0; i < 6; ++i) {
    After(milliseconds(50));
    Say(kShard, Beat{ShardId{0}});
    HearAll();
  }
  EXPECT_EQ(Primary(), kShard);
  EXPECT_EQ(coordinator_.shards().front().copy, 0U);
  EXPECT_TRUE(Hear(1).copies.empty()) << "the move is given up";
  EXPECT_EQ(Ask({0}, false).moves, (std::vector<Move>{{ShardId{0}, 0, 0, 1, true}}));
}

TEST_F(MovesTest, ACopyWhoseServerIsGoneIsGivenUp) {
  Ask({0}, true);
  for (int i = 0; i < 6; ++i) {
    After(milliseconds(50));
    Say(kShard, Beat{ShardId{0}});
    Hear(0);
    Hear(2);
  }
  EXPECT_TRUE(coordinator_.replicas(ShardId{0}).empty());
  EXPECT_EQ(Primary(), kShard);
  ASSERT_EQ(Ask({0}, false).moves.size(), 1U);
  EXPECT_EQ(Ask({0}, false).moves.front().to, 2U);
}

TEST_F(MovesTest, AServerThatLeavesHasItsShardTakenAway) {
  Hear(0, true);
  After(milliseconds(1));
  EXPECT_EQ(Hear(1).copies, (std::vector<HostedCopy>{{ShardId{0}, 1}}));
}

TEST_F(MovesTest, NothingGoesToAServerWhoseConnectionHasEnded) {
  EXPECT_EQ(Ask({0}, false).moves.front().to, 1U);
  coordinator_.LinkEnded(now_, PeerId{Server(1)});
  now_ += kLease / 2 + milliseconds(1);
  EXPECT_EQ(Ask({0}, false).moves.front().to, 2U);
}

TEST_F(MovesTest, NothingGoesToNobody) {
  EXPECT_EQ(Ask({0, 1, 2}, true).problem, "there is no server to go to");
  EXPECT_EQ(Ask({7}, true).problem, "there is no server 7");
  EXPECT_EQ(coordinator_.replicas(ShardId{0}).size(), 0U);
}

// The copy that is to take a replica's place takes its primary's, and is gone before a view has it.
TEST_F(ReplicaMovesTest, WhoWasToGoStaysWhereThePrimaryHasItsPlaceBack) {
  const Move move{ShardId{0}, 1, 0, 2, false};
  ASSERT_EQ(Primary(), kMoved);
  ASSERT_EQ(Ask({0}, true).moves, std::vector<Move>{move});
  Say(kNew, Register{ShardId{0}, "n", 3});
  AllBeInSync(kMoved, 2);
  for (int i = 0; i < 8; ++i) {
    After(kLease / 4);
    HearAll();
    Speak(kNew, 3, 9);
    Speak(kReplica, 1, 8);
  }
  ASSERT_EQ(Primary(), kNew);
  for (int i = 0; i < 8; ++i) {
    After(kLease / 4);
    HearAll();
    Speak(kMoved, 2, 8);
  }
  ASSERT_EQ(Primary(), kMoved);
  EXPECT_EQ(Hear(0).copies, (std::vector<HostedCopy>{{ShardId{0}, 1}}));
  EXPECT_TRUE(Hear(2).copies.empty()) << "the move is given up";
  EXPECT_EQ(Ask({0}, false).moves, std::vector<Move>{move});
}

}  // namespace
}  // namespace shardmill
