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

}  // namespace
}  // namespace shardmill
