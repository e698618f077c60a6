// A minute of each kind of soak, with its kills and all its other troubles.
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/sanitized.h"
#include "tests/system/chaos/campaign.h"

namespace shardmill::chaos {
namespace {

void ExpectMinuteWithoutViolation(uint64_t seed) {
  const TrialPlaces places{.programs = std::filesystem::current_path().string(),
                           .logs = testing::TempDir() + "/chaos",
                           .minutes = 1};
  const Trial trial = RunTrial(kSoak, seed, places);
  EXPECT_TRUE(trial.violations.empty()) << testing::PrintToString(trial.violations);
  EXPECT_EQ(trial.totals.lost, 0U);
  EXPECT_EQ(trial.totals.duplicated, 0U);
}

TEST(SoakTest, AMinuteOfAllTroublesBreaksNoPromiseWithReplicas) {
  if (kSanitized) GTEST_SKIP() << "a sanitizer's own library must be the first that is loaded";
  ExpectMinuteWithoutViolation(1);
}

TEST(SoakTest, AMinuteOfAllTroublesBreaksNoPromiseWithLogs) {
  if (kSanitized) GTEST_SKIP() << "a sanitizer's own library must be the first that is loaded";
  ExpectMinuteWithoutViolation(2);
}

}  // namespace
}  // namespace shardmill::chaos
