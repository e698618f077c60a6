#include "common/process/file_lock.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <utility>

namespace shardmill {
namespace {

TEST(FileLockTest, IsForOneHolderAtATime) {
  const std::string path = testing::TempDir() + "/lock";
  std::optional<FileLock> first(FileLock::Take(path).value());
  const auto second = FileLock::Take(path);
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().code, ErrorCode::kUnavailable);
  const FileLock moved = std::move(*first);
  first.reset();
  EXPECT_FALSE(FileLock::Take(path).ok());
}

TEST(FileLockTest, IsFreeWhenItsHolderIsGone) {
  const std::string path = testing::TempDir() + "/free";
  ASSERT_TRUE(FileLock::Take(path).ok());
  EXPECT_TRUE(FileLock::Take(path).ok());
}

TEST(FileLockTest, NamesAFolderThatIsNotThere) {
  const auto lock = FileLock::Take(testing::TempDir() + "/nowhere/lock");
  ASSERT_FALSE(lock.ok());
  EXPECT_EQ(lock.error().code, ErrorCode::kFailed);
  EXPECT_NE(lock.error().message.find("/nowhere/lock"), std::string::npos);
}

}  // namespace
}  // namespace shardmill
