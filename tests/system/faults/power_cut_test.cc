#include "tests/system/faults/power_cut.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "common/process/child.h"
#include "tests/sanitized.h"
#include "tests/system/faults/fault_orders.h"

namespace shardmill::chaos {
namespace {

namespace fs = std::filesystem;

// What a process does to the disk, each to a path below the test's folder.
using Changes = std::vector<std::pair<std::string, std::string>>;
// A folder that is there for sure, and a file in it.
const Changes kFolder = {{"folder", "d"}, {"sync-folder", "."}};
const Changes kFile = {
    {"append", "d/ax"}, {"sync", "d/ax"}, {"rename", "d/ax"}, {"sync-folder", "d"}};

class PowerCutTest : public testing::Test {
 protected:
  void SetUp() override {
    if (kSanitized) GTEST_SKIP() << "a sanitizer's own library must be the first that is loaded";
    folder_ = fs::path(testing::TempDir()).lexically_normal() / "cut";
  }

  // What may be left, as "NAME=LETTERS" of each file and "NAME/" of each folder, once each.
  std::set<std::string> LeftAfter(const std::vector<Changes>& parts) {
    std::set<std::string> left;
    for (uint64_t seed = 1; seed <= 40; ++seed) {
      fs::remove_all(folder_);
      fs::create_directory(folder_);
      auto desk = FaultDesk::Make("tests/system/faults/fault_preload.so", folder_);
      EXPECT_TRUE(desk.ok());
      EXPECT_TRUE(desk.value()->NoteSyncs(folder_).ok());
      ChildOptions options;
      options.name = "disk_writer";
      options.log_path = PathOf("writer.out");
      options.argv = {"/usr/bin/env", desk.value()->Preload(),
                      fs::absolute("tests/system/faults/disk_writer").string()};
      for (const Changes& part : parts) {
        for (const auto& [change, path] : part) {
          options.argv.insert(options.argv.end(), {change, PathOf(path)});
        }
      }
      auto child = Child::Spawn(options);
      EXPECT_TRUE(child.ok());
      EXPECT_EQ(child.value()->Wait(std::chrono::seconds(30)), ExitStatus{});
      Rng rng(seed);
      const auto cut = CutPower(rng, desk.value()->notes(), folder_, {"d"});
      EXPECT_TRUE(cut.ok());
      left.insert(Left());
    }
    return left;
  }

  std::string PathOf(const std::string& path) const {
    return path == "." ? folder_ : folder_ + "/" + path;
  }
  std::string Left() const {
    std::set<std::string> all;
    if (!fs::exists(PathOf("d"))) return "";
    for (const auto& one : fs::recursive_directory_iterator(PathOf("d"))) {
      const std::string name = fs::relative(one.path(), folder_).string();
      all.insert(one.is_directory() ? name + "/" : name + "=" + LettersOf(one.path()));
    }
    std::string words = "d/";
    for (const std::string& one : all) words += " " + one;
    return words;
  }
  static std::string LettersOf(const fs::path& path) {
    std::ifstream file(path);
    std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
    text.erase(std::unique(text.begin(), text.end()), text.end());
    std::ranges::replace(text, '\0', '0');
    return text;
  }

  std::string folder_;
};

using Set = std::set<std::string>;

TEST_F(PowerCutTest, LeavesWhatWasSyncedWithItsFolder) {
  EXPECT_EQ(LeftAfter({kFolder, kFile}), Set({"d/ d/a=x"}));
}

TEST_F(PowerCutTest, UndoesANameWhoseFolderWasNotSynced) {
  EXPECT_EQ(LeftAfter({kFolder, {{"append", "d/x"}, {"sync", "d/x"}}}), Set({"d/", "d/ d/x=x"}));
  EXPECT_EQ(LeftAfter({{{"folder", "d"}}, kFile}), Set({"", "d/ d/a=x"}));
}

TEST_F(PowerCutTest, BringsAReplacedFileBackAndARemovedOne) {
  const Changes replaced = {{"append", "d/ay"}, {"sync", "d/ay"}, {"rename", "d/ay"}};
  EXPECT_EQ(LeftAfter({kFolder, kFile, replaced}), Set({"d/ d/a=x", "d/ d/a=y"}));
  EXPECT_EQ(LeftAfter({kFolder, kFile, {{"remove", "d/a"}}}), Set({"d/", "d/ d/a=x"}));
  const Changes synced = {{"remove", "d/a"}, {"sync-folder", "d"}};
  EXPECT_EQ(LeftAfter({kFolder, kFile, synced}), Set({"d/"}));
}

TEST_F(PowerCutTest, BringsARemovedFolderBackWithWhatWasInIt) {
  const Changes inner = {{"folder", "d/e"},
                         {"append", "d/e/x"},
                         {"sync", "d/e/x"},
                         {"sync-folder", "d/e"},
                         {"sync-folder", "d"}};
  const Changes gone = {{"remove", "d/e/x"}, {"remove-folder", "d/e"}};
  EXPECT_EQ(LeftAfter({kFolder, inner, gone}), Set({"d/", "d/ d/e/", "d/ d/e/ d/e/x=x"}));
}

TEST_F(PowerCutTest, CutsOffOrTearsWhatWasWrittenSinceASync) {
  const Changes more = {{"sync-folder", "d"}, {"append", "d/x"}};
  const Set left = LeftAfter({kFolder, {{"append", "d/x"}, {"sync", "d/x"}}, more});
  EXPECT_TRUE(left.contains("d/ d/x=x"));
  EXPECT_TRUE(left.contains("d/ d/x=x0"));
  EXPECT_TRUE(left.contains("d/ d/x=x0x"));
  for (const std::string& one : left) EXPECT_TRUE(one.starts_with("d/ d/x=x")) << one;
}

}  // namespace
}  // namespace shardmill::chaos
