// Deliberately wrong builds of the core: each must be caught by the simulator within some seeds.

#include <gtest/gtest.h>

#include <cstdint>
#include <string>

#include "common/mutation.h"
#include "sim/cluster.h"

namespace shardmill::sim {
namespace {

struct Case {
  const char* name;
  Mutation mutation;
};

// Sets the mutation for one scope, so that no test leaves it on.
class Switched final {
 public:
  explicit Switched(Mutation mutation) { active_mutation = mutation; }
  ~Switched() { active_mutation = Mutation::kNone; }
  Switched(const Switched&) = delete;
  Switched& operator=(const Switched&) = delete;
};

class MutationTest : public testing::TestWithParam<Case> {};

TEST_P(MutationTest, IsCaughtWithinTwoThousandSeeds) {
  const Switched switched(GetParam().mutation);
  for (uint64_t seed = 1; seed <= 2000; ++seed) {
    const Outcome outcome = Cluster(Scenario::FromSeed(seed)).Run();
    if (outcome.violations.empty()) continue;
    RecordProperty("caught_by_seed", std::to_string(seed));
    SUCCEED() << "seed " << seed << ": " << outcome.violations.front();
    return;
  }
  FAIL() << GetParam().name << " was not noticed";
}

INSTANTIATE_TEST_SUITE_P(Known, MutationTest,
                         testing::Values(Case{"StalenessOffByOne", Mutation::kStalenessOffByOne},
                                         Case{"EndBeforeAllHeld", Mutation::kEndBeforeAllHeld},
                                         Case{"ApplyRepeatedEnd", Mutation::kApplyRepeatedEnd},
                                         Case{"UnfencedIncarnation",
                                              Mutation::kUnfencedIncarnation},
                                         Case{"ForgetPartialStep", Mutation::kForgetPartialStep},
                                         Case{"EndWhileFrozen", Mutation::kEndWhileFrozen}),
                         [](const auto& known) { return std::string(known.param.name); });

}  // namespace
}  // namespace shardmill::sim
