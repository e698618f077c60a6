#include "common/identity.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <utility>
#include <vector>

namespace shardmill {
namespace {

const std::set<WorkerId> kBound = {WorkerId{3}};

std::string Words(const Identity* who, Message message) {
  return ForbiddenWords({PeerId{1}, {}, std::move(message), who});
}

Identity Of(Role role) { return {role, std::nullopt, &kBound, std::string(NameOf(role))}; }

TEST(IdentityTest, LetsEverybodySayAllWhereThereAreNoKeys) {
  EXPECT_EQ(Words(nullptr, Install{}), "");
  EXPECT_EQ(Words(nullptr, Join{WorkerId{3}}), "");
}

TEST(IdentityTest, GivesEachRoleItsOwnWords) {
  struct Said {
    Message message;
    std::vector<Role> by;
  };
  using enum Role;
  const std::vector<Said> all = {
      {Hello{}, {kCoordinator, kServer, kWorker, kTool}},
      {Welcome{}, {kCoordinator, kServer}},
      {Refused{}, {kCoordinator, kServer}},
      {Unit{}, {kWorker}},
      {Held{}, {kServer}},
      {End{}, {kWorker}},
      {Ended{}, {kServer}},
      {Pull{}, {kWorker}},
      {Pulled{}, {kServer}},
      {Waiting{}, {kServer}},
      {Join{}, {kWorker}},
      {Granted{}, {kCoordinator}},
      {Renew{}, {kWorker}},
      {Renewed{}, {kCoordinator}},
      {Goodbye{}, {kWorker}},
      {Farewell{}, {kCoordinator}},
      {Report{}, {kWorker}},
      {MakeTable{}, {kWorker}},
      {GetView{}, {kServer, kWorker, kTool}},
      {ViewIs{}, {kCoordinator}},
      {Register{}, {kServer}},
      {Registered{}, {kCoordinator}},
      {Freeze{}, {kCoordinator}},
      {Frozen{}, {kServer}},
      {Install{}, {kCoordinator}},
      {Installed{}, {kServer}},
      {Beat{}, {kServer}},
      {GetSaved{}, {kCoordinator}},
      {Saved{}, {kServer}},
      {GetLease{}, {kWorker}},
      {Leased{}, {kCoordinator}},
      {Replicas{}, {kCoordinator}},
      {Follow{}, {kServer}},
      {Followed{}, {kServer}},
      {Host{}, {kServer}},
      {Hosting{}, {kCoordinator}},
      {Rebalance{}, {kTool}},
      {Balance{}, {kCoordinator}},
  };
  EXPECT_EQ(all.size(), std::variant_size_v<Message>);
  for (size_t i = 0; i < all.size(); ++i) {
    EXPECT_EQ(all[i].message.index(), i);
    for (const Role role : {kCoordinator, kServer, kWorker, kTool}) {
      const Identity who = Of(role);
      const bool may = std::ranges::find(all[i].by, role) != all[i].by.end();
      EXPECT_EQ(Words(&who, all[i].message).empty(), may)
          << "message " << i << " by a " << NameOf(role);
    }
  }
}

TEST(IdentityTest, HoldsAKeyToItsRankAndARankToItsKey) {
  const Identity any = Of(Role::kWorker);
  const Identity three{Role::kWorker, WorkerId{3}, &kBound, "three"};
  const Sender sender{WorkerId{3}, Incarnation{1}};
  EXPECT_EQ(Words(&any, Join{WorkerId{0}}), "");
  EXPECT_EQ(Words(&any, Join{WorkerId{3}}),
            "rank 3 is bound to a key of its own, and \"worker\" is another");
  EXPECT_EQ(Words(&any, Renew{sender}),
            "rank 3 is bound to a key of its own, and \"worker\" is another");
  EXPECT_EQ(Words(&three, Join{WorkerId{3}}), "");
  EXPECT_EQ(Words(&three, End{sender}), "");
  EXPECT_EQ(Words(&three, Join{WorkerId{0}}),
            "the key \"three\" is bound to rank 3 and may not hold rank 0");
}

TEST(IdentityTest, KnowsRolesByName) {
  EXPECT_EQ(RoleNamed("operator"), Role::kTool);
  EXPECT_EQ(RoleNamed("root"), std::nullopt);
}

}  // namespace
}  // namespace shardmill
