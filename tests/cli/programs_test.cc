#include "cli/programs.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "cli/run_folder.h"

namespace shardmill {
namespace {

namespace fs = std::filesystem;

void MakeProgram(const std::string& path) {
  fs::create_directories(fs::path(path).parent_path());
  ASSERT_TRUE(WriteTextFile(path, "").ok());
  fs::permissions(path, fs::perms::owner_all);
}

TEST(ProgramsTest, AreFoundWhereTheBuildLeavesThem) {
  const std::string top = testing::TempDir() + "/built";
  MakeProgram(top + "/server/shardmill-coordinator");
  MakeProgram(top + "/server/shardmill-ps");
  const Result<Programs> two = FindProgramsFrom(top + "/cli/shardmill");
  ASSERT_FALSE(two.ok());
  EXPECT_NE(two.error().message.find("build //worker:shardmill-worker"), std::string::npos);
  MakeProgram(top + "/worker/shardmill-worker");
  const Result<Programs> all = FindProgramsFrom(top + "/cli/shardmill");
  ASSERT_TRUE(all.ok()) << all.error().message;
  EXPECT_EQ(all.value().server, top + "/server/shardmill-ps");
  EXPECT_EQ(all.value().worker, top + "/worker/shardmill-worker");
}

TEST(ProgramsTest, AreFoundInOneFolderOnceInstalled) {
  const std::string folder = testing::TempDir() + "/installed/bin";
  for (const char* name : {"shardmill-coordinator", "shardmill-ps", "shardmill-worker"}) {
    MakeProgram(folder + "/" + name);
  }
  const Result<Programs> programs = FindProgramsFrom(folder + "/shardmill");
  ASSERT_TRUE(programs.ok()) << programs.error().message;
  EXPECT_EQ(programs.value().coordinator, folder + "/shardmill-coordinator");
}

}  // namespace
}  // namespace shardmill
