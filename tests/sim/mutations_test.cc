// Deliberately wrong builds of the core: each must be caught by the simulator within some seeds.

#include <gtest/gtest.h>

#include <string>

#include "tests/sim/hunt.h"

namespace shardmill::sim {
namespace {

class MutationTest : public testing::TestWithParam<KnownBug> {};

TEST_P(MutationTest, IsCaughtWithinTenThousandSeeds) {
  const Catch found = Hunt(GetParam().mutation);
  EXPECT_TRUE(found.caught) << GetParam().name << " was not noticed";
}

INSTANTIATE_TEST_SUITE_P(Known, MutationTest, testing::ValuesIn(KnownBugs()),
                         [](const auto& known) { return std::string(known.param.name); });

TEST(MutationsTest, NothingIsCaughtWhereNothingIsWrong) {
  EXPECT_FALSE(Hunt(Mutation::kNone, 200).caught);
}

}  // namespace
}  // namespace shardmill::sim
