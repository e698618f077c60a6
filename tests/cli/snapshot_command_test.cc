#include "cli/snapshot_command.h"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "common/blob/folder_store.h"
#include "common/blob/posix_files.h"
#include "tests/snapshot/world.h"

namespace shardmill {
namespace {

struct Screen {
  std::ostringstream out;
  std::ostringstream err;
  Console console{.out = out, .err = err};
};

class SnapshotCommandTest : public testing::Test {
 protected:
  void SetUp() override {
    FolderStore store(files_, root_);
    ASSERT_TRUE(Save(store, 1, 1).ok());
    ASSERT_TRUE(Save(store, 2, 3).ok());
  }

  PosixFiles files_;
  std::string root_ = testing::TempDir() + "/commands";
  Screen screen_;
};

TEST_F(SnapshotCommandTest, ListsAndShowsWhatIsThere) {
  ASSERT_TRUE(RunSnapshotLs({root_, false}, screen_.console).ok());
  EXPECT_NE(screen_.out.str().find("job/000000000001"), std::string::npos);
  ASSERT_TRUE(RunSnapshotShow({root_ + "/job", true}, screen_.console).ok());
  EXPECT_NE(screen_.out.str().find("\"number\":2"), std::string::npos);
  const Result<> none = RunSnapshotShow({root_ + "/jab", false}, screen_.console);
  ASSERT_FALSE(none.ok());
  EXPECT_EQ(none.error().code, ErrorCode::kUnavailable);
}

TEST_F(SnapshotCommandTest, TakesANumberWithItsZerosAndWithout) {
  for (const char* number : {"1", "000000000001"}) {
    screen_.out.str("");
    ASSERT_TRUE(RunSnapshotShow({root_ + "/job/" + number, true}, screen_.console).ok()) << number;
    EXPECT_NE(screen_.out.str().find("\"number\":1"), std::string::npos);
  }
  const Result<> none = RunSnapshotShow({root_ + "/job/7", false}, screen_.console);
  EXPECT_EQ(none.error().code, ErrorCode::kUnavailable);
}

TEST_F(SnapshotCommandTest, VerifiesAndSaysWhichFileIsDamaged) {
  ASSERT_TRUE(RunSnapshotVerify({root_ + "/job/000000000002/", true}, screen_.console).ok());
  std::fstream file(root_ + "/job/000000000002/shard-1.safetensors",
                    std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(4000);
  file << "spoilt";
  file.close();
  screen_.out.str("");
  const Result<> bad = RunSnapshotVerify({root_ + "/job", false}, screen_.console);
  ASSERT_FALSE(bad.ok());
  EXPECT_EQ(bad.error().code, ErrorCode::kFailed);
  EXPECT_NE(screen_.out.str().find("shard-1.safetensors: the bytes 3584 to 4096"),
            std::string::npos)
      << screen_.out.str();
  EXPECT_EQ(screen_.out.str().find("sound"), std::string::npos) << screen_.out.str();
}

TEST_F(SnapshotCommandTest, SaysThatAFolderIsNotThere) {
  const Result<> none = RunSnapshotLs({root_ + "/nope", false}, screen_.console);
  ASSERT_FALSE(none.ok());
  EXPECT_EQ(none.error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(screen_.out.str(), "");
}

TEST_F(SnapshotCommandTest, ExportsOnceAndReplacesNothing) {
  const SnapshotExportFlags flags{root_ + "/job/000000000001", root_ + "/one.safetensors", false};
  std::remove(flags.file.c_str());
  ASSERT_TRUE(RunSnapshotExport(flags, screen_.console).ok());
  const Result<> again = RunSnapshotExport(flags, screen_.console);
  ASSERT_FALSE(again.ok());
  EXPECT_EQ(again.error().code, ErrorCode::kBadUsage);
}

}  // namespace
}  // namespace shardmill
