// A minute of the soak, with its kills and all its other troubles.
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/sanitized.h"
#include "tests/system/chaos/campaign.h"

namespace shardmill::chaos {
namespace {

TEST(SoakTest, AMinuteOfAllTroublesBreaksNoPromise) {
  if (kSanitized) GTEST_SKIP() << "a sanitizer's own library must be the first that is loaded";
  const TrialPlaces places{.programs = std::filesystem::current_path().string(),
                           .logs = testing::TempDir() + "/chaos",
                           .minutes = 1};
  const Trial trial = RunTrial(kSoak, 1, places);
  EXPECT_TRUE(trial.violations.empty()) << testing::PrintToString(trial.violations);
  EXPECT_EQ(trial.totals.lost, 0U);
  EXPECT_EQ(trial.totals.duplicated, 0U);
}

}  // namespace
}  // namespace shardmill::chaos
