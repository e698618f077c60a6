// Snapshots of real processes, and jobs that begin from them.
#include <gtest/gtest.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "common/blob/folder_store.h"
#include "common/blob/posix_files.h"
#include "common/json/json.h"
#include "common/process/exit_code.h"
#include "snapshot/folder.h"
#include "snapshot/verify.h"
#include "tests/system/launch.h"

namespace shardmill {
namespace {

constexpr std::chrono::milliseconds kPatience{400000};
constexpr uint32_t kEpochs = 300;

std::string FolderOfSnapshots() { return TestFolder() + "/kept"; }

// The arguments that each `--set` of a key takes.
std::vector<std::string> With(std::vector<std::string> keys) {
  std::vector<std::string> arguments = {"--json", "--quiet", "--set",
                                        "snapshot.to=" + FolderOfSnapshots()};
  for (std::string& key : keys) {
    arguments.emplace_back("--set");
    arguments.push_back(std::move(key));
  }
  return arguments;
}

double Checksum(const Child& train) {
  const Result<JsonValue> json = ParseJson(LastLineOf(train.name()));
  EXPECT_TRUE(json.ok()) << OutputOf(train.name());
  const JsonValue* metrics = json.ok() ? json.value().Find("metrics") : nullptr;
  const JsonValue* sum = metrics == nullptr ? nullptr : metrics->Find("weights_crc32");
  EXPECT_NE(sum, nullptr) << OutputOf(train.name());
  return sum == nullptr ? -1 : sum->number;
}

std::vector<FoundSnapshot> Found() {
  PosixFiles files;
  FolderStore store(files, FolderOfSnapshots());
  auto found = ListSnapshots(store, "");
  EXPECT_TRUE(found.ok());
  return found.ok() ? std::move(found).value() : std::vector<FoundSnapshot>{};
}

void ExpectSound() {
  PosixFiles files;
  FolderStore store(files, FolderOfSnapshots());
  for (const FoundSnapshot& one : Found()) {
    auto report = VerifySnapshot(store, one.folder());
    ASSERT_TRUE(report.ok()) << report.error().message;
    EXPECT_TRUE(report->problems.empty()) << report->problems.front();
  }
}

TEST(SnapshotResumeTest, AllProcessesAreKilledAndTheJobComesToTheSameWeightsOnOtherShards) {
  const std::string job = WriteJob(kEpochs);
  const auto whole = LaunchTrain(job, {"--json", "--quiet"});
  ASSERT_EQ(whole->Wait(kPatience), ExitStatus{}) << OutputOf("train");
  const double undisturbed = Checksum(*whole);

  const auto killed = LaunchTrain(job, With({"snapshot.every=50ms", "snapshot.keep=0"}));
  ASSERT_TRUE(Await([&] { return killed->Poll() || Found().size() >= 2; })) << OutputOf("train");
  ASSERT_FALSE(killed->Poll()) << "the job was over too soon: " << OutputOf("train");
  for (const int pid : ChildrenOf(killed->pid())) kill(pid, SIGKILL);
  kill(killed->pid(), SIGKILL);
  killed->Wait(kPatience);
  ExpectSound();
  ASSERT_FALSE(Found().empty());
  const uint64_t last = Found().back().number;

  const auto again =
      LaunchTrain(job, With({"snapshot.resume=latest", "snapshot.keep=1", "cluster.servers=3"}));
  ASSERT_EQ(again->Wait(kPatience), ExitStatus{}) << OutputOf("train");
  EXPECT_EQ(Checksum(*again), undisturbed);
  ExpectSound();
  ASSERT_EQ(Found().size(), 1U) << "snapshot.keep";
  EXPECT_GT(Found().front().number, last);
}

TEST(SnapshotResumeTest, AServerIsKilledAndTheJobGoesBackAndComesToTheSameWeights) {
  const std::string job = WriteJob(kEpochs);
  const auto whole = LaunchTrain(job, {"--json", "--quiet"});
  ASSERT_EQ(whole->Wait(kPatience), ExitStatus{}) << OutputOf("train");
  const double undisturbed = Checksum(*whole);

  const auto train = LaunchTrain(
      job, With({"snapshot.every=50ms", "cluster.servers=2", "cluster.shards_per_server=1"}));
  ASSERT_TRUE(Await([&] { return train->Poll() || Found().size() >= 2; })) << OutputOf("train");
  for (const int pid : ChildrenOf(train->pid())) {
    if (CommandOf(pid).find("--index 1 ") != std::string::npos) kill(pid, SIGKILL);
  }
  ASSERT_EQ(train->Wait(kPatience), ExitStatus{}) << OutputOf("train");
  EXPECT_NE(OutputOf("train").find("server-1 ended with"), std::string::npos) << OutputOf("train");
  EXPECT_NE(LastLineOf("train").find(R"("generation":2,"rollbacks":1,)"), std::string::npos);
  EXPECT_EQ(Checksum(*train), undisturbed);
  ExpectSound();
}

TEST(SnapshotResumeTest, ThereIsOneAtTheEndAndOneByTimeAndOldOnesGo) {
  const std::string job = WriteJob(kEpochs);
  const auto train =
      LaunchTrain(job, With({"snapshot.every=10ms", "snapshot.keep=0", "snapshot.keep_for=1ms"}));
  ASSERT_EQ(train->Wait(kPatience), ExitStatus{}) << OutputOf("train");
  ASSERT_EQ(Found().size(), 1U) << "snapshot.keep_for";
  EXPECT_GT(Found().front().number, 1U) << "snapshot.every";
  ExpectSound();
}

TEST(SnapshotResumeTest, ThereIsOneEverySoManyRounds) {
  const std::string job = WriteJob(kEpochs);
  const auto train =
      LaunchTrain(job, With({"snapshot.every=0s", "snapshot.every_rounds=100", "snapshot.keep=0"}));
  ASSERT_EQ(train->Wait(kPatience), ExitStatus{}) << OutputOf("train");
  EXPECT_GT(Found().size(), 1U);
}

TEST(SnapshotResumeTest, ACoordinatorThatIsStartedAgainNeedsTheSnapshotOfTheBeginningNoMore) {
  const auto first = LaunchTrain(WriteJob(1), With({}));
  ASSERT_EQ(first->Wait(kPatience), ExitStatus{}) << OutputOf("train");
  const auto train = LaunchTrain(WriteJob(kEpochs), With({"snapshot.resume=latest"}));
  AwaitState(JobStatus::State::kTraining);
  std::filesystem::remove_all(FolderOfSnapshots());
  int killed = 0;
  for (const int pid : ChildrenOf(train->pid())) {
    if (CommandOf(pid).find("shardmill-coordinator") == std::string::npos) continue;
    kill(pid, SIGKILL);
    ++killed;
  }
  ASSERT_EQ(killed, 1) << "the job was over too soon: " << OutputOf("train");
  EXPECT_EQ(train->Wait(kPatience), ExitStatus{}) << OutputOf("train");
  EXPECT_NE(OutputOf("train").find("coordinator ended with signal 9"), std::string::npos);
  EXPECT_EQ(Found().size(), 1U);
}

TEST(SnapshotResumeTest, AServerThatSeesAnotherFolderEndsAndSaysSo) {
  const std::string job = WriteJob(1);
  const Daemon coordinator =
      LaunchDaemon("coordinator", "server/shardmill-coordinator",
                   {job, "--listen", "127.0.0.1:0", "--set", "snapshot.to=" + FolderOfSnapshots()});
  const std::string address = coordinator.where.address.substr(std::string("tcp://").size());
  const auto server = Launch("server", "server/shardmill-ps",
                             {job, "--index", "0", "--set", "cluster.coordinator=" + address,
                              "--set", "snapshot.to=" + TestFolder() + "/elsewhere"});
  EXPECT_EQ(server->Wait(kPatience)->code, 2) << OutputOf("server");
  EXPECT_NE(OutputOf("server").find("one folder that every server sees"), std::string::npos)
      << OutputOf("server");
}

TEST(SnapshotResumeTest, ThereIsOneAtTheEndOfSoManyEpochs) {
  const std::string job = WriteJob(kEpochs);
  const std::string third = "snapshot.every_epochs=" + std::to_string(kEpochs / 3);
  const auto train = LaunchTrain(job, With({"snapshot.every=0s", third, "snapshot.keep=0"}));
  ASSERT_EQ(train->Wait(kPatience), ExitStatus{}) << OutputOf("train");
  // One more at the end; on a slow disk that may be the next.
  EXPECT_GT(Found().size(), 1U);
}

// A file stands where the folder of each would be made.
TEST(SnapshotResumeTest, AJobWhoseLastSnapshotIsLostSaysSoAndEndsWithACodeOfItsOwn) {
  for (uint64_t number = 1; number <= 3; ++number) {
    const std::string folder = FolderOfSnapshots() + "/" + FolderOf("job", number);
    std::filesystem::create_directories(std::filesystem::path(folder).parent_path().parent_path());
    std::ofstream(folder.substr(0, folder.size() - 1)) << "in the way";
  }
  const auto train = LaunchTrain(WriteJob(1), With({"job.name=job"}));
  const auto ended = train->Wait(kPatience);
  ASSERT_TRUE(ended) << OutputOf("train");
  EXPECT_EQ(ended->code, static_cast<int>(ExitCode::kUnsaved)) << OutputOf("train");
  EXPECT_NE(LastLineOf("train").find("the job is done, but the job's last snapshot was lost"),
            std::string::npos)
      << OutputOf("train");
  EXPECT_NE(OutputOf("train").find(R"("unsaved":"the job's last snapshot was lost: snapshot 3)"),
            std::string::npos)
      << OutputOf("train");
}

// Spoils a byte of each file of the newest snapshot but the manifest. Which it was.
uint64_t SpoilNewest() {
  const FoundSnapshot newest = Found().back();
  for (const SnapshotFile& file : newest.manifest->files) {
    std::fstream spoilt(FolderOfSnapshots() + "/" + newest.folder() + file.name,
                        std::ios::in | std::ios::out | std::ios::binary);
    spoilt.seekg(static_cast<int64_t>(file.bytes) - 1);
    const int last = spoilt.get();
    spoilt.seekp(static_cast<int64_t>(file.bytes) - 1);
    spoilt.put(static_cast<char>(~last));
  }
  return newest.number;
}

TEST(SnapshotResumeTest, AJobBeginsFromTheSnapshotBeforeOneThatIsDamagedUnlessToldWhichOne) {
  const auto first = LaunchTrain(WriteJob(1), With({}));
  ASSERT_EQ(first->Wait(kPatience), ExitStatus{}) << OutputOf("train");
  const auto second = LaunchTrain(WriteJob(2), With({"snapshot.resume=latest"}));
  ASSERT_EQ(second->Wait(kPatience), ExitStatus{}) << OutputOf("train");
  ASSERT_EQ(Found().size(), 2U);
  const std::string damaged = std::to_string(SpoilNewest());
  const auto exactly = LaunchTrain(WriteJob(3), With({"snapshot.resume=" + damaged}));
  EXPECT_NE(exactly->Wait(kPatience), ExitStatus{}) << OutputOf("train");
  const auto latest = LaunchTrain(WriteJob(3), With({"snapshot.resume=latest"}));
  ASSERT_EQ(latest->Wait(kPatience), ExitStatus{}) << OutputOf("train");
  EXPECT_NE(LastLineOf("train").find(R"("rollbacks":1,)"), std::string::npos);
}

TEST(SnapshotResumeTest, ASnapshotThatIsNotThereIsNamed) {
  const std::string job = WriteJob(1);
  const auto train = LaunchTrain(job, With({"snapshot.resume=7"}));
  EXPECT_NE(train->Wait(kPatience), ExitStatus{});
  EXPECT_NE(OutputOf("train").find("there is no snapshot 7"), std::string::npos)
      << OutputOf("train");
}

}  // namespace
}  // namespace shardmill
