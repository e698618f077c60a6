#include "cli/control_groups.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "cli/run_folder.h"

namespace shardmill {
namespace {

namespace fs = std::filesystem;

// Where groups would be mounted, with the files that a test puts there.
class ControlGroupsTest : public testing::Test {
 protected:
  ControlGroupsTest() { fs::remove_all(root_); }

  void Put(const std::string& file, const std::string& text) {
    fs::create_directories(fs::path(root_ + file).parent_path());
    ASSERT_TRUE(WriteTextFile(root_ + file, text + "\n").ok());
  }
  GroupLimits Read() const { return ReadGroupLimits(root_ + "/list", root_); }

  const std::string root_ = testing::TempDir() + "/groups";
};

TEST_F(ControlGroupsTest, TakesTheLowestLimitOfAGroupAndThoseAboveIt) {
  Put("/list", "0::/a/b");
  Put("/a/b/memory.max", "max");
  Put("/a/b/memory.current", "300");
  Put("/a/b/cpu.max", "max 100000");
  Put("/a/memory.max", "1000");
  Put("/a/memory.current", "700");
  Put("/a/memory.stat", "anon 500\ninactive_file 200");
  Put("/a/cpu.max", "150000 100000");
  Put("/memory.max", "5000");
  Put("/memory.current", "700");
  EXPECT_EQ(Read().memory_left, 500u);
  EXPECT_EQ(Read().processors, 1.5);
}

TEST_F(ControlGroupsTest, ReadsVersionOne) {
  Put("/list", "5:name=systemd:/x\n4:memory:/x\n3:cpu,cpuacct:/x");
  Put("/memory/x/memory.limit_in_bytes", "1000");
  Put("/memory/x/memory.usage_in_bytes", "900");
  Put("/memory/x/memory.stat", "inactive_file 7\ntotal_inactive_file 100");
  Put("/cpu/x/cpu.cfs_quota_us", "50000");
  Put("/cpu/x/cpu.cfs_period_us", "100000");
  Put("/cpu/cpu.cfs_quota_us", "-1");
  Put("/cpu/cpu.cfs_period_us", "100000");
  EXPECT_EQ(Read().memory_left, 200u);
  EXPECT_EQ(Read().processors, 0.5);
}

TEST_F(ControlGroupsTest, FindsNoLimitWhereThereIsNone) {
  EXPECT_FALSE(Read().memory_left);
  Put("/list", "0::/");
  EXPECT_FALSE(Read().memory_left);
  EXPECT_FALSE(Read().processors);
  Put("/memory.max", "100");
  Put("/memory.current", "120");  // As it may be for a moment.
  EXPECT_EQ(Read().memory_left, 0u);
}

}  // namespace
}  // namespace shardmill
