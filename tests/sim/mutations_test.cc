// Deliberately wrong builds of the core: the simulator must catch each within some histories.

#include <gtest/gtest.h>

#include <string>

#include "tests/sim/hunt.h"

namespace shardmill::sim {
namespace {

class MutationTest : public testing::TestWithParam<KnownBug> {};

TEST_P(MutationTest, IsCaughtWithinTenThousandHistories) {
  const Catch found = Hunt(GetParam());
  EXPECT_TRUE(found.caught) << GetParam().name << " was not noticed";
}

INSTANTIATE_TEST_SUITE_P(Known, MutationTest, testing::ValuesIn(KnownBugs()),
                         [](const auto& known) { return std::string(known.param.name); });

TEST(MutationsTest, NothingIsCaughtWhereNothingIsWrong) {
  EXPECT_FALSE(Hunt({"Nothing", Mutation::kNone}, 200).caught);
}

}  // namespace
}  // namespace shardmill::sim
