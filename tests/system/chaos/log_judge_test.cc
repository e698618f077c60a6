#include "tests/system/chaos/log_judge.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <initializer_list>
#include <optional>
#include <string>

namespace shardmill::chaos {
namespace {

// Four writes of ten bytes behind a byte that is none's: a head of four, and what it is the head
// of. The second has two records, the others one.
constexpr uint64_t kFirst = 1;
constexpr uint64_t kSecond = 11;
constexpr uint64_t kThird = 21;
constexpr uint64_t kFourth = 31;
constexpr uint64_t kHead = 4;  // A byte behind a write's begin that is no more of its head.

class LogJudgeTest : public testing::Test {
 protected:
  std::string Judge(const std::string& damaged, uint64_t records) const {
    const auto end = written_.records.begin() + static_cast<std::ptrdiff_t>(records);
    return JudgeLog(written_, before_, damaged, Records(written_.records.begin(), end));
  }
  std::string Flipped(std::initializer_list<uint64_t> places) const {
    std::string text = before_;
    for (const uint64_t place : places) text[place] ^= 1;
    return text;
  }

  const std::string before_ = std::string(41, 'x');
  Written written_{
      {"a", "b1", "b2", "c", "d"}, {{kFirst, 0}, {kSecond, 1}, {kThird, 3}, {kFourth, 4}}, kHead};
};

TEST_F(LogJudgeTest, AllowsThatALogIsRefused) {
  EXPECT_EQ(JudgeLog(written_, before_, Flipped({kSecond}), std::nullopt), "");
}

TEST_F(LogJudgeTest, AllowsThatADamagedLastWriteIsLeftOutAndNoMore) {
  for (const uint64_t at : {kFourth, kFourth + kHead}) {
    EXPECT_EQ(Judge(Flipped({at}), 4), "");
    EXPECT_NE(Judge(Flipped({at}), 5), "") << "read as if it were whole";
    EXPECT_NE(Judge(Flipped({at}), 3), "") << "the third is whole";
    EXPECT_NE(Judge(Flipped({at}), 2), "") << "half a write";
  }
}

TEST_F(LogJudgeTest, AllowsThatWhatIsCutOffIsLeftOutAndNoMore) {
  for (const uint64_t size : {kThird, kThird + 1, kThird + kHead, kFourth - 1}) {
    EXPECT_EQ(Judge(before_.substr(0, size), 3), "") << size;
    EXPECT_NE(Judge(before_.substr(0, size), 1), "") << size;
    EXPECT_NE(Judge(before_.substr(0, size), 4), "") << size;
  }
  EXPECT_EQ(Judge("", 0), "");
  EXPECT_NE(Judge("", 1), "");
  EXPECT_NE(Judge(Flipped({0, kFirst}), 0), "") << "the file does not begin as it did";
}

TEST_F(LogJudgeTest, AllowsNoDamageBeforeTheLastWriteWhereOneHeadFromThereOnIsWhole) {
  EXPECT_NE(Judge(Flipped({kThird}), 3), "");
  EXPECT_NE(Judge(Flipped({kThird + kHead}), 3), "");
  EXPECT_NE(Judge(Flipped({kThird, kFourth + kHead}), 3), "");
  EXPECT_NE(Judge(Flipped({kThird + kHead, kFourth}), 3), "");
  EXPECT_NE(Judge(Flipped({kSecond, kFourth}), 1), "");
  EXPECT_NE(Judge(Flipped({kSecond, kThird}), 1), "");
  EXPECT_NE(Judge(Flipped({kSecond, kThird, kFourth}), 3), "") << "a damaged write is read";
}

TEST_F(LogJudgeTest, AllowsDamageBeforeTheLastWriteWhereNoHeadFromThereOnIsWhole) {
  EXPECT_EQ(Judge(Flipped({kThird, kFourth}), 3), "");
  EXPECT_EQ(Judge(Flipped({kThird + kHead - 1, kThird + kHead, kFourth + 1}), 3), "");
  EXPECT_EQ(Judge(Flipped({kSecond, kThird, kFourth}), 1), "");
  written_.head_bytes = 0;
  EXPECT_NE(Judge(Flipped({kThird, kFourth}), 3), "") << "in no log that always tells";
}

TEST_F(LogJudgeTest, AllowsNothingThatWasNeverWritten) {
  EXPECT_NE(JudgeLog(written_, before_, Flipped({kSecond}), Records{"a", "b0"}), "");
}

}  // namespace
}  // namespace shardmill::chaos
