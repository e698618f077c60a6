#include "cli/live_screen.h"

#include <gtest/gtest.h>

namespace shardmill {
namespace {

TEST(LiveScreenTest, FitsATextToTheRoomThereIs) {
  EXPECT_EQ(FitToScreen("abc\n\nde\n", 3, 2), "ab\n\nde\n");
  EXPECT_EQ(FitToScreen("a", 5, 5), "a\n");
}

TEST(LiveScreenTest, SaysInItsLastLineHowMuchThereIsNoRoomFor) {
  EXPECT_EQ(FitToScreen("a\nb\nc\nd\n", 3, 80), "a\nb\n... 2 more lines\n");
  EXPECT_EQ(FitToScreen("a\nb\nc\nd\n", 2, 10), "a\n... 3 more\n");
  EXPECT_EQ(FitToScreen("a\nb\nc\nd\n", 1, 80), "a\n");
  EXPECT_EQ(FitToScreen("a\nb\n", 0, 80), "");
}

TEST(LiveScreenTest, CutsBetweenCharacters) {
  EXPECT_EQ(FitToScreen("\xC3\xBC\xC3\xA4x", 1, 2), "\xC3\xBC\xC3\xA4\n");
}

TEST(LiveScreenTest, LetsNothingMoveTheCursor) {
  EXPECT_EQ(FitToScreen("a\x1b[2Jb\tc\x7f", 1, 80), "a?[2Jb?c?\n");
}

TEST(LiveScreenTest, WantsATerminal) {
  const auto screen = LiveScreen::Open();
  ASSERT_FALSE(screen.ok());
  EXPECT_EQ(screen.error().code, ErrorCode::kBadUsage);
}

}  // namespace
}  // namespace shardmill
