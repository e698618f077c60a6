#include "server/snapshot_keeper.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "snapshot/folder.h"
#include "tests/snapshot/world.h"

namespace shardmill {
namespace {

// A folder with the snapshots 1 and 2 of the job.
class SnapshotKeeperTest : public testing::Test {
 protected:
  SnapshotKeeperTest() {
    std::filesystem::remove_all(root_);
    options_.job.name = "job";
    options_.snapshot.to = root_;
    EXPECT_TRUE(Save(store_, 1, 1).ok());
    EXPECT_TRUE(Save(store_, 2, 1).ok());
  }

  static CoordinatorOptions Fresh() {
    CoordinatorOptions options;
    options.job = JobId{5};
    options.workers = 2;
    options.data.leased = true;
    return options;
  }
  void SpoilManifest(uint64_t number) const {
    std::ofstream(root_ + "/" + FolderOf("job", number) + "manifest") << "spoilt";
  }

  const std::string root_ = testing::TempDir() + "/keeper";
  PosixFiles files_;
  FolderStore store_{files_, root_};
  JobOptions options_;
  std::ostringstream said_;
  Log log_{"test", LogLevel::kInfo, &said_};
};

TEST_F(SnapshotKeeperTest, LetsNoSecondJobOfTheNameIntoItsFolderWhileItLives) {
  CoordinatorOptions options = Fresh();
  {
    SnapshotKeeper first(options_, log_);
    ASSERT_TRUE(first.Prepare(options).ok()) << said_.str();
    CoordinatorOptions others = Fresh();
    others.job = JobId{6};
    SnapshotKeeper second(options_, log_);
    const Result<> refused = second.Prepare(others);
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().code, ErrorCode::kUnavailable);
    EXPECT_NE(refused.error().message.find("another job of this name"), std::string::npos);
    EXPECT_TRUE(CheckToken(store_, "job", JobId{5}).ok()) << "it has left nothing there";
  }
  SnapshotKeeper again(options_, log_);
  EXPECT_TRUE(again.Prepare(options).ok()) << "the same job's next coordinator";
}

TEST_F(SnapshotKeeperTest, TellsTheCoordinatorWhatTheJobFileSaysOfSnapshots) {
  options_.snapshot.timeout = std::chrono::seconds(7);
  options_.snapshot.keep = 4;
  options_.snapshot.every_rounds = 11;
  SnapshotKeeper keeper(options_, log_);
  CoordinatorOptions options = Fresh();
  ASSERT_TRUE(keeper.Prepare(options).ok());
  EXPECT_TRUE(options.snapshots.enabled);
  EXPECT_EQ(options.snapshots.timeout, std::chrono::seconds(7));
  EXPECT_EQ(options.snapshots.keep, 4U);
  EXPECT_EQ(options.snapshots.rounds, 11U);
  EXPECT_EQ(options.snapshots.number, 2U);
  EXPECT_EQ(options.kept.size(), 2U);
}

TEST_F(SnapshotKeeperTest, BeginsFromTheLatestThatCanBeReadAndSaysWhichCannot) {
  SpoilManifest(2);
  options_.snapshot.resume = "latest";
  SnapshotKeeper keeper(options_, log_);
  CoordinatorOptions options = Fresh();
  ASSERT_TRUE(keeper.Prepare(options).ok());
  EXPECT_NE(said_.str().find("snapshot_unreadable number=2"), std::string::npos) << said_.str();
  options.data.epochs = 5;  // There is something left to do.
  const Result<> resumed = keeper.Resume(options);
  ASSERT_TRUE(resumed.ok()) << resumed.error().message;
  EXPECT_EQ(options.resume->number, 1U);
  EXPECT_FALSE(options.resume_exactly);
}

TEST_F(SnapshotKeeperTest, BeginsFromNoOtherThanTheOneThatIsNamed) {
  SpoilManifest(2);
  options_.snapshot.resume = "2";
  SnapshotKeeper keeper(options_, log_);
  CoordinatorOptions options = Fresh();
  ASSERT_TRUE(keeper.Prepare(options).ok());
  EXPECT_FALSE(keeper.Resume(options).ok());
}

}  // namespace
}  // namespace shardmill
