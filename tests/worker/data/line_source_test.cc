#include "worker/data/line_source.h"

#include <gtest/gtest.h>

#include "tests/worker/data/files.h"

namespace shardmill {
namespace {

using Lines = std::vector<std::string>;

// Keeps the bytes that a source reads.
struct Text {
  explicit Text(std::string_view text) : bytes(BytesOf(text)), lines(SourceOf(bytes, "f"), "f") {}

  std::vector<uint8_t> bytes;
  LineSource lines;
};

Lines AllOf(std::string_view text) {
  Text source(text);
  Lines lines;
  while (source.lines.Next().value()) {
    lines.push_back(std::to_string(source.lines.number()) + " " + std::string(source.lines.line()));
  }
  EXPECT_FALSE(source.lines.Next().value());
  return lines;
}

TEST(LineSourceTest, EndsLinesAtLfAndCrLfAndAtTheEnd) {
  EXPECT_EQ(AllOf("a\nb\r\n\nc"), (Lines{"1 a", "2 b", "3 ", "4 c"}));
  EXPECT_EQ(AllOf("a\n"), Lines{"1 a"});
  EXPECT_EQ(AllOf(""), Lines{});
  EXPECT_EQ(AllOf("\n"), Lines{"1 "});
  EXPECT_EQ(AllOf("\xef\xbb\xbf"
                  "a\nb"),
            (Lines{"1 a", "2 b"}));
}

TEST(LineSourceTest, GivesLinesThatAreLongerThanItsBuffer) {
  std::string text;
  for (int i = 0; i < 5; ++i) text += std::string(700'000, static_cast<char>('a' + i)) + "\n";
  Text source(text);
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(source.lines.Next().value());
    EXPECT_EQ(source.lines.line(), std::string(700'000, static_cast<char>('a' + i)));
    EXPECT_EQ(source.lines.number(), static_cast<uint64_t>(i) + 1);
  }
  EXPECT_FALSE(source.lines.Next().value());
}

TEST(LineSourceTest, MakesLinesLongerAndShortAgain) {
  Text source("a\nb\nc\nd\n");
  ASSERT_TRUE(source.lines.Next().value());
  ASSERT_TRUE(source.lines.Extend().value());
  ASSERT_TRUE(source.lines.Extend().value());
  EXPECT_EQ(source.lines.line(), "a\nb\nc");
  ASSERT_TRUE(source.lines.Next().value());
  EXPECT_EQ(source.lines.line(), "d");
  EXPECT_EQ(source.lines.number(), 4U);
  EXPECT_FALSE(source.lines.Extend().value());
  EXPECT_EQ(source.lines.line(), "d");

  Text other("a\nb\nc");
  ASSERT_TRUE(other.lines.Next().value());
  ASSERT_TRUE(other.lines.Extend().value());
  other.lines.Shorten();
  EXPECT_EQ(other.lines.line(), "a");
  ASSERT_TRUE(other.lines.Next().value());
  EXPECT_EQ(other.lines.line(), "b");
  EXPECT_EQ(other.lines.number(), 2U);
}

TEST(LineSourceTest, JoinsLinesAcrossItsBuffer) {
  const std::string half(400'000, 'x');
  Text source(half + "\n" + half + "\n" + half + "\nlast");
  ASSERT_TRUE(source.lines.Next().value());
  ASSERT_TRUE(source.lines.Extend().value());
  EXPECT_EQ(source.lines.line(), half + "\n" + half);
  source.lines.Shorten();
  EXPECT_EQ(source.lines.line(), half);
  ASSERT_TRUE(source.lines.Next().value());
  ASSERT_TRUE(source.lines.Extend().value());
  EXPECT_EQ(source.lines.line(), half + "\n" + half);
  ASSERT_TRUE(source.lines.Next().value());
  EXPECT_EQ(source.lines.line(), "last");
}

TEST(LineSourceTest, RefusesWhatIsNoText) {
  Text endless(std::string(size_t{17} << 20, 'x'));
  const Result<bool> line = endless.lines.Next();
  ASSERT_FALSE(line.ok());
  EXPECT_EQ(line.error().message, "f:1: a line of more than 16 MiB: these are no rows of text");
  Text wide(
      std::string_view("\xff\xfe"
                       "a\0",
                       4));
  EXPECT_NE(wide.lines.Next().error().message.find("UTF-16"), std::string::npos);
}

}  // namespace
}  // namespace shardmill
