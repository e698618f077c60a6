// A tenth of each chaos scenario, and proof that the harness sees what is wrong.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "common/json/json.h"
#include "common/process/child.h"
#include "tests/sanitized.h"
#include "tests/system/chaos/campaign.h"

namespace shardmill::chaos {
namespace {

TrialPlaces Places() {
  return {.programs = std::filesystem::current_path().string(),
          .logs = testing::TempDir() + "/chaos"};
}

// Returns how many processes were fenced.
uint64_t ExpectPromisesKept(const Scenario& scenario, uint64_t count) {
  Campaign campaign = Campaign::Begin(scenario, 1, Places(), "").value();
  for (uint64_t i = 0; i < count; ++i) EXPECT_TRUE(campaign.RunOne().ok());
  std::printf("%s\n", campaign.ToLine().c_str());
  const Totals& totals = campaign.totals();
  EXPECT_EQ(totals.count, count);
  EXPECT_EQ(totals.lost, 0U);
  EXPECT_EQ(totals.duplicated, 0U);
  EXPECT_EQ(totals.violations, 0U);
  EXPECT_FALSE(totals.recovery_seconds.empty());
  return totals.fenced;
}

TEST(ChaosTest, KilledWorkersLoseNothingAndComeBack) {
  ExpectPromisesKept(kWorkerKill, kSanitized ? 5 : 30);
}

TEST(ChaosTest, ProcessesThatStandStillLoseNothingAndGoOn) {
  ExpectPromisesKept(kStop, kSanitized ? 2 : 5);
}

TEST(ChaosTest, OlderOfTwoProcessesOfARankHasNoEffectAfterTheFence) {
  EXPECT_GT(ExpectPromisesKept(kTwin, kSanitized ? 3 : 6), 0U) << "nobody was fenced";
}

TEST(ChaosTest, JobGoesOnWithoutItsCoordinatorWhichForgetsNothing) {
  EXPECT_EQ(ExpectPromisesKept(kCoordinatorKill, kSanitized ? 3 : 10), 0U);
}

TEST(ChaosTest, StrangersAtAllDoorsChangeNothing) {
  EXPECT_EQ(ExpectPromisesKept(kStrangers, 2), 0U);
}

TEST(ChaosTest, ALostServerTakesTheJobBackToItsLastSnapshotAndNoFurther) {
  EXPECT_EQ(ExpectPromisesKept(kServerKill, kSanitized ? 3 : 10), 0U);
}

TEST(ChaosTest, AReplicaTakesThePlaceOfALostServerAndNothingIsLost) {
  EXPECT_EQ(ExpectPromisesKept(kFailover, kSanitized ? 3 : 30), 0U);
}

TEST(ChaosTest, AServerThatStandsStillIsReplacedWhenItsLeaseEnds) {
  EXPECT_EQ(ExpectPromisesKept(kSilence, kSanitized ? 2 : 5), 0U);
}

TEST(ChaosTest, ServersThatAreToldToStopHandOverWhatTheyHave) {
  EXPECT_EQ(ExpectPromisesKept(kDrain, kSanitized ? 2 : 5), 0U);
}

TEST(ChaosTest, ShardsGoFromServerToServerAndNothingIsLost) {
  EXPECT_EQ(ExpectPromisesKept(kRebalance, kSanitized ? 2 : 10), 0U);
}

TEST(ChaosTest, ASnapshotThatIsBeingMadeIsThereWholeOrNotAtAll) {
  // Each tenth of the points; all of them take minutes.
  for (uint64_t seed = 1; seed <= (kSanitized ? 50U : 213U); seed += 10) {
    const Trial trial = RunTrial(kSnapshotKill, seed, Places());
    EXPECT_TRUE(trial.violations.empty())
        << trial.cluster << ": " << testing::PrintToString(trial.violations);
  }
}

TEST(ChaosTest, DaemonsThatAreKilledWhileTheySaveLeaveOnlyWholeSnapshots) {
  for (uint64_t seed = 1; seed <= (kSanitized ? 1 : 4); ++seed) {
    const Trial trial = RunTrial(kSnapshotKillDaemons, seed, Places());
    EXPECT_TRUE(trial.violations.empty())
        << trial.cluster << ": " << testing::PrintToString(trial.violations);
  }
}

TEST(ChaosTest, WorkersComeAndGoAndEachRowIsUsedOnceInEachEpoch) {
  ExpectPromisesKept(kElastic, kSanitized ? 3 : 12);
}

TEST(ChaosTest, ANetworkThatIsNotWholeCostsTimeAndNothingElse) {
  ExpectPromisesKept(kPartition, kSanitized ? 2 : 5);
}

TEST(ChaosTest, ServersThatDoNotReachEachOtherHoldNobodyUp) {
  EXPECT_EQ(ExpectPromisesKept(kSplit, kSanitized ? 1 : 3), 0U);
}

// In a process of its own, for a network of its own.
TEST(ChaosTest, HostsThatAreCutOffOrSwitchedOffCostTimeAndNothingElse) {
  ChildOptions options;
  options.name = "hosts";
  options.log_path = testing::TempDir() + "/hosts.out";
  const std::string hindrance = Hosts::Hindrance(options.log_path);
  if (!hindrance.empty()) GTEST_SKIP() << hindrance;
  options.argv = {Places().programs + "/tests/system/chaos/chaos",
                  "--scenario",
                  "hosts",
                  "--count",
                  kSanitized ? "2" : "5",
                  "--logs",
                  Places().logs,
                  "--json"};
  const std::optional<ExitStatus> status =
      Child::Spawn(options).value()->Wait(std::chrono::minutes(10));
  std::ifstream file(options.log_path);
  const std::string words((std::istreambuf_iterator<char>(file)), {});
  EXPECT_EQ(status, ExitStatus{}) << words;
  EXPECT_NE(words.find("\"violations\":0"), std::string::npos) << words;
}

TEST(ChaosTest, NothingThatIsDamagedIsTakenForWhatItWas) {
  Campaign campaign = Campaign::Begin(kCorrupt, 1, Places(), "").value();
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(campaign.RunOne().ok());
  EXPECT_EQ(campaign.totals().count, 1000U);
  EXPECT_EQ(campaign.totals().violations, 0U);
  // These hit the heads of the last two writes of a shard's log, which nothing tells from a crash.
  for (const uint64_t seed : {13, 100}) {
    EXPECT_EQ(RunTrial(kCorrupt, seed, Places()).violations, std::vector<std::string>()) << seed;
  }
}

// Each of the three faults, under snapshots, the coordinator's log and those of shards.
TEST(ChaosTest, DisksThatTakeNothingAreSaidToAndTheJobGoesOnWhenTheyDo) {
  if (kSanitized) GTEST_SKIP() << "a sanitizer's own library must be the first that is loaded";
  EXPECT_EQ(ExpectPromisesKept(kDiskFull, 9), 0U);
}

TEST(ChaosTest, ClocksThatJumpChangeNothing) {
  if (kSanitized) GTEST_SKIP() << "a sanitizer's own library must be the first that is loaded";
  EXPECT_EQ(ExpectPromisesKept(kClock, 2), 0U);
}

TEST(ChaosTest, EverythingIsKilledAndWhatWasAcknowledgedIsInTheLogs) {
  ExpectPromisesKept(kDiskKill, kSanitized ? 2 : 5);
}

TEST(ChaosTest, ThePowerIsCutAndWhatWasAcknowledgedIsThere) {
  if (kSanitized) GTEST_SKIP() << "a sanitizer's own library must be the first that is loaded";
  ExpectPromisesKept(kPowerCut, 5);
}

// Of a cluster of several shards without backup workers, where every lie shows.
Trial TrialWith(Plant plant) {
  uint64_t seed = 1;
  while (DrawCluster(seed).shards() < 2 || DrawCluster(seed).backups > 0) ++seed;
  return RunTrial(kWorkerKill, seed, Places(), plant);
}

testing::AssertionResult Says(const Trial& trial, const std::string& words) {
  const bool says = std::ranges::any_of(trial.violations, [&](const std::string& violation) {
    return violation.find(words) != std::string::npos;
  });
  if (says) return testing::AssertionSuccess();
  return testing::AssertionFailure() << testing::PrintToString(trial.violations);
}

TEST(ChaosTest, SeesALostStepAndKeepsTheLogs) {
  const Trial trial = TrialWith(Plant::kUnpushed);
  EXPECT_GT(trial.totals.lost, 0U);
  EXPECT_EQ(trial.totals.duplicated, 0U);
  EXPECT_EQ(trial.totals.violations, 1U);
  EXPECT_TRUE(Says(trial, "n[0] on shard"));
  EXPECT_TRUE(std::filesystem::exists(trial.folder + "/coordinator.out"));
}

TEST(ChaosTest, SeesAStepThatWasAppliedTwice) {
  const Trial trial = TrialWith(Plant::kTwice);
  EXPECT_GT(trial.totals.duplicated, 0U);
  EXPECT_EQ(trial.totals.lost, 0U);
  EXPECT_EQ(trial.totals.violations, 1U);
}

TEST(ChaosTest, SeesAStepThatIsOnSomeShardsOnly) {
  EXPECT_TRUE(Says(TrialWith(Plant::kOnOneOnly), "is on some shards only"));
}

TEST(ChaosTest, SeesAStepThatNobodyMade) {
  EXPECT_TRUE(Says(TrialWith(Plant::kUnwritten), "counts, and nobody made it"));
}

TEST(ChaosTest, SeesAnEffectOfAProcessThatHadLostItsRank) {
  EXPECT_TRUE(Says(TrialWith(Plant::kOldName), "which did not have the rank then"));
}

TEST(ChaosTest, SeesARowThatWasUsedTwice) {
  const Trial trial = RunTrial(kElastic, 1, Places(), Plant::kTwice);
  EXPECT_GT(trial.totals.duplicated, 0U);
  EXPECT_EQ(trial.totals.lost, 0U);
  EXPECT_EQ(trial.totals.violations, 1U);
}

TEST(ChaosTest, SeesARowThatWasTakenAndNotUsed) {
  const Trial trial = RunTrial(kElastic, 1, Places(), Plant::kUnpushed);
  EXPECT_GT(trial.totals.lost, 0U);
  EXPECT_EQ(trial.totals.duplicated, 0U);
  EXPECT_EQ(trial.totals.violations, 1U);
}

TEST(ChaosTest, SeesACoordinatorThatForgets) {
  EXPECT_TRUE(
      Says(RunTrial(kCoordinatorKill, 5, Places(), Plant::kForgets), "is at incarnation 0"));
}

TEST(ChaosTest, SeesAStrangerWhoIsLetIn) {
  EXPECT_TRUE(Says(RunTrial(kStrangers, 2, Places(), Plant::kLetsIn),
                   "all strangers are refused and counted"));
}

TEST(ChaosTest, CampaignGoesOnFromItsFileAndRefusesThatOfAnother) {
  const std::string file = testing::TempDir() + "/campaign.json";
  for (uint64_t run = 1; run <= 2; ++run) {
    Result<Campaign> campaign = Campaign::Begin(kWorkerKill, 40, Places(), file);
    ASSERT_TRUE(campaign.ok()) << campaign.error().message;
    ASSERT_TRUE(campaign.value().RunOne().ok());
    const Result<JsonValue> said = ParseJson(campaign.value().ToJson());
    ASSERT_TRUE(said.ok()) << said.error().message;
    EXPECT_EQ(said.value().Find("scenario")->text, "worker-kill");
    EXPECT_EQ(said.value().Find("count")->whole, run);
    for (const char* key : {"lost", "duplicated", "violations"}) {
      EXPECT_EQ(said.value().Find(key)->whole, 0U) << key;
    }
    EXPECT_GE(said.value().Find("recovery_seconds")->Find("max")->number, 0);
  }
  EXPECT_FALSE(Campaign::Begin(kTwin, 1, Places(), file).ok());
  std::ofstream(file) << "{}";
  EXPECT_FALSE(Campaign::Begin(kWorkerKill, 1, Places(), file).ok());
}

}  // namespace
}  // namespace shardmill::chaos
