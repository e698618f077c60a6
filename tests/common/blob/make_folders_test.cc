#include "common/blob/make_folders.h"

#include <gtest/gtest.h>

#include <span>
#include <string>
#include <utility>

#include "common/blob/memory_files.h"

namespace shardmill {
namespace {

constexpr const char* kFolder = "/jobs/one/state";

bool IsThere(MemoryFiles& files) {
  const auto made = files.CreateNew(std::string(kFolder) + "/file");
  return made.ok() && made.value() != nullptr;
}

TEST(MakeFoldersTest, MakesWhatIsMissingAndItStaysWhenTheMachineDies) {
  for (uint64_t seed = 1; seed <= 50; ++seed) {
    MemoryFiles files(seed);
    ASSERT_TRUE(MakeFolders(files, kFolder).ok());
    files.Restart();
    EXPECT_TRUE(IsThere(files)) << seed;
  }
}

TEST(MakeFoldersTest, FinishesWhatAProcessBeforeItHasBegunWhereverThatEnded) {
  constexpr std::pair<bool, const char*> kChanges[] = {
      {true, "/jobs"},  {false, "/"},    {true, "/jobs/one"},
      {false, "/jobs"}, {true, kFolder}, {false, "/jobs/one"},
  };
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    MemoryFiles files(seed);
    for (const auto& [makes, path] : std::span(kChanges).first(seed % (std::size(kChanges) + 1))) {
      ASSERT_TRUE((makes ? files.MakeFolder(path) : files.SyncFolder(path)).ok());
    }
    ASSERT_TRUE(MakeFolders(files, kFolder).ok());
    files.Restart();
    EXPECT_TRUE(IsThere(files)) << seed;
  }
}

}  // namespace
}  // namespace shardmill
