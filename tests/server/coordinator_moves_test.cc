// Shards that go to other servers, as the coordinator sees them.
#include <gtest/gtest.h>

#include "tests/server/coordinator_by_hand.h"

namespace shardmill {
namespace {

constexpr uint64_t kNew = 51;  // The process of the shard's next copy.
constexpr uint64_t kTool = 60;

// One shard on the first of three servers.
class MovesTest : public CoordinatorTest {
 protected:
  MovesTest() {
    Begin();
    HearAll();
  }

  static uint64_t Server(uint32_t index) { return 70 + index; }
  Hosting Hear(uint32_t index, bool leaving = false) {
    const Outbox answers = Say(Server(index), Host{index, leaving});
    const auto* hosting = Find<Hosting>(answers, Server(index));
    EXPECT_NE(hosting, nullptr);
    return hosting == nullptr ? Hosting{} : *hosting;
  }
  void HearAll() {
    for (uint32_t i = 0; i < 3; ++i) Hear(i);
  }
  Balance Ask(std::vector<uint32_t> drained, bool begin) {
    const Outbox answers = Say(kTool, Rebalance{std::move(drained), begin});
    const auto* balance = Find<Balance>(answers, kTool);
    EXPECT_NE(balance, nullptr);
    return balance == nullptr ? Balance{} : *balance;
  }
  // The primary waits for the copy.
  void BeInSync() {
    Beat beat{ShardId{0}};
    beat.in_sync = {coordinator_.replicas(ShardId{0}).front().stream};
    Say(kShard, beat);
  }
  uint64_t Primary() const { return coordinator_.shards().front().boot.value; }
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
  After(milliseconds(1));
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
  Beat beat{ShardId{0}};
  beat.copy = 1;
  Say(kNew, beat);
  After(milliseconds(1));
  EXPECT_EQ(Primary(), kNew);
}

TEST_F(MovesTest, ACopyThatIsGoneAsItTakesThePlaceGivesItBack) {
  Ask({0}, true);
  Say(kNew, Register{ShardId{0}, "n", 1});
  BeInSync();
  After(milliseconds(1));
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

TEST_F(MovesTest, NothingGoesToNobody) {
  EXPECT_EQ(Ask({0, 1, 2}, true).problem, "there is no server to go to");
  EXPECT_EQ(Ask({7}, true).problem, "there is no server 7");
  EXPECT_EQ(coordinator_.replicas(ShardId{0}).size(), 0U);
}

}  // namespace
}  // namespace shardmill
