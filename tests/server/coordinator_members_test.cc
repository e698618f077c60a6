// Who comes, who goes and who has which rank, as the coordinator sees it.
#include <gtest/gtest.h>

#include "tests/server/coordinator_by_hand.h"

namespace shardmill {
namespace {

constexpr uint64_t kRows = 10;

// One whose workers come and go: two to begin with, three at most, and rows that they lease.
class MembersTest : public CoordinatorTest {
 protected:
  explicit MembersTest(const CoordinatorOptions& options = Elastic()) : CoordinatorTest(options) {}

  static CoordinatorOptions Elastic() {
    CoordinatorOptions options = Options();
    options.workers_max = 3;
    options.data.leased = true;
    options.data.chunk = kRows;
    return options;
  }
  static Sender Who(uint32_t rank, uint64_t incarnation = 1) {
    return {WorkerId{rank}, Incarnation{incarnation}};
  }
  Outbox AskForAny(uint64_t who) { return Say(who, Join{WorkerId{0}, true}); }
  bool Has(uint64_t who, uint32_t rank) const {
    return coordinator_.ranks()[rank].boot == BootId{who};
  }
};

TEST_F(MembersTest, GivesTheLowestRankThatIsFreeToWhoWouldHaveAny) {
  Begin();
  AskForAny(3);
  EXPECT_EQ(Find<Granted>(Cut(), 3)->rank, WorkerId{2});
  const Outbox refused = AskForAny(4);
  ASSERT_NE(Find<Refused>(refused, 4), nullptr);
  EXPECT_EQ(Find<Refused>(refused, 4)->words, "all 3 ranks are held (cluster.workers_max)");
}

TEST_F(MembersTest, GivesARankFirstToWhoWantsNoOtherWhileTheJobHasNotBegun) {
  Say(kShard, Register{ShardId{0}, "s"});
  AskForAny(3);
  EXPECT_TRUE(Has(3, 0));
  EXPECT_TRUE(Say(1, Join{WorkerId{0}}).empty());
  EXPECT_TRUE(Has(1, 0));
  AskForAny(3);
  EXPECT_TRUE(Has(3, 1));
  AskForAny(4);
  EXPECT_TRUE(Has(4, 2)) << "who would have any takes from nobody";
  EXPECT_EQ(Find<Refused>(Say(5, Join{WorkerId{0}}), 5)->code, Refusal::kRankHeld);
  Cut();
  EXPECT_EQ(Find<Refused>(Say(5, Join{WorkerId{1}}), 5)->code, Refusal::kRankHeld)
      << "the job has begun";
}

TEST_F(MembersTest, LetsWhoComesLaterBeginWithTheRoundAfterTheLastThatClosed) {
  Begin();
  AskForAny(3);
  Cut({{WorkerId{0}, 7, 1, 7}, {WorkerId{1}, 5, 1, 5}});
  const Member* member = coordinator_.view().FindMember(WorkerId{2});
  ASSERT_NE(member, nullptr);
  EXPECT_EQ(member->base, -5);
  EXPECT_EQ(coordinator_.view().closed, 5U);
}

TEST_F(MembersTest, LetsWhoSaysGoodbyeGoAtTheNextCutAndLeasesTheRestToOthers) {
  Begin();
  Say(1, GetLease{Who(0), kRows, {}, 0});
  ASSERT_EQ(coordinator_.data().HeldAfter(WorkerId{0}, 0).size(), 1U);
  Say(2, GetLease{Who(1), kRows, {}, 0});  // There is no more; it is told when there is.
  Say(1, Goodbye{Who(0), false, 3});
  RankState left{WorkerId{0}, 3, 1, 3};
  left.used = {1, 4};
  const Outbox outbox = Cut({left, {WorkerId{1}, 3, 1, 3}});
  EXPECT_EQ(coordinator_.view().members.size(), 1U);
  const Leased* leased = Find<Leased>(outbox, 2);
  ASSERT_NE(leased, nullptr);
  EXPECT_EQ(leased->leases.at(0).range, (DataRange{0, 4, kRows}));
}

TEST_F(MembersTest, TakesTheRankFromWhoIsSilentAndFencesIt) {
  Begin();
  for (int i = 0; i < 10; ++i) {
    Say(2, Renew{Who(1)});
    After(milliseconds(20));
  }
  EXPECT_EQ(coordinator_.ranks()[0].state, RankStatus::State::kSilent);
  Cut();
  EXPECT_EQ(coordinator_.view().members.size(), 1U);
  EXPECT_EQ(Find<Refused>(Say(1, Renew{Who(0)}), 1)->code, Refusal::kFenced);
  EXPECT_EQ(Find<Refused>(AskForAny(1), 1)->code, Refusal::kFenced);
}

// A snapshot of a job that is over: all its rows are used.
class EndedMembersTest : public MembersTest {
 protected:
  EndedMembersTest() : MembersTest(FromTheEnd()) {}
  static CoordinatorOptions FromTheEnd() {
    CoordinatorOptions options = Elastic();
    Manifest manifest;
    manifest.number = 4;
    manifest.view.number = ViewNumber{8};
    manifest.view.generation = Generation{1};
    manifest.data.rows = kRows;
    manifest.data.chunk = kRows;
    manifest.data.epoch = 1;
    manifest.data.used = kRows;
    options.resume = manifest;
    return options;
  }
};

TEST_F(EndedMembersTest, LetsWorkersInToAJobThatIsOverAlreadyAndEndsWithThem) {
  Begin();
  EXPECT_EQ(coordinator_.view().members.size(), 2U);
  const Outbox outbox = Say(1, GetLease{Who(0), kRows, {}, 0});
  ASSERT_NE(Find<Leased>(outbox, 1), nullptr);
  EXPECT_TRUE(Find<Leased>(outbox, 1)->over);
  EXPECT_EQ(Find<Refused>(AskForAny(3), 3)->code, Refusal::kDone) << "it comes too late";
  Say(1, Goodbye{Who(0), true, 0});
  Say(2, Goodbye{Who(1), true, 0});
  Cut();
  EXPECT_EQ(coordinator_.state(), JobState::kDone);
}

}  // namespace
}  // namespace shardmill
