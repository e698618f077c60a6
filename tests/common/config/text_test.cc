#include "common/config/text.h"

#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <vector>

namespace shardmill::config {
namespace {

using std::chrono::milliseconds;

TEST(TextTest, ReadsDurations) {
  EXPECT_EQ(ParseDuration("250ms"), milliseconds(250));
  EXPECT_EQ(ParseDuration("60s"), milliseconds(60'000));
  EXPECT_EQ(ParseDuration("10m"), milliseconds(600'000));
  EXPECT_EQ(ParseDuration("1h30m"), milliseconds(5'400'000));
  EXPECT_EQ(ParseDuration("2d1ms"), milliseconds(172'800'001));
  EXPECT_EQ(ParseDuration("0s"), milliseconds(0));
}

TEST(TextTest, RefusesWhatIsNoDuration) {
  for (const char* text :
       {"", "5", "s", "5 s", "-5s", "1.5s", "5S", "5s5", "5s3m", "5s5s", "5us",
        "99999999999999999999s", "9999999999999999d", "18446744073709551615ms"}) {
    EXPECT_FALSE(ParseDuration(text).has_value()) << text;
  }
}

TEST(TextTest, WritesDurationsThatReadBackTheSame) {
  EXPECT_EQ(FormatDuration(milliseconds(90'000)), "1m30s");
  EXPECT_EQ(FormatDuration(milliseconds(0)), "0s");
  EXPECT_EQ(FormatDuration(milliseconds(-5)), "0s");
  for (const int64_t count : {1L, 999L, 1'000L, 60'001L, 86'400'000L, 123'456'789L}) {
    EXPECT_EQ(ParseDuration(FormatDuration(milliseconds(count))), milliseconds(count));
  }
}

TEST(TextTest, RoundsMeasuredTimesToWhatMatters) {
  EXPECT_EQ(FormatAbout(milliseconds(512)), "512ms");
  EXPECT_EQ(FormatAbout(milliseconds(3'001)), "3s");
  EXPECT_EQ(FormatAbout(milliseconds(1'949)), "1s900ms");
  EXPECT_EQ(FormatAbout(milliseconds(13'990)), "14s");
  EXPECT_EQ(FormatAbout(milliseconds(65'432)), "1m5s");
  EXPECT_EQ(FormatAbout(milliseconds(7'265'432)), "2h1m");
  EXPECT_EQ(FormatAbout(milliseconds(180'000'001)), "2d2h");
}

TEST(TextTest, ReadsSizes) {
  EXPECT_EQ(ParseSize("0B"), 0U);
  EXPECT_EQ(ParseSize("512B"), 512U);
  EXPECT_EQ(ParseSize("4 KiB"), 4096U);
  EXPECT_EQ(ParseSize("64MiB"), uint64_t{64} << 20);
  EXPECT_EQ(ParseSize("3GiB"), uint64_t{3} << 30);
  EXPECT_EQ(ParseSize("2TiB"), uint64_t{2} << 40);
}

TEST(TextTest, RefusesWhatIsNoSize) {
  for (const char* text : {"", "64", "MiB", "64MB", "64mib", "-1B", "1.5GiB", "4  KiB", "1GiB ",
                           "16777216TiB", "99999999999999999999B"}) {
    EXPECT_FALSE(ParseSize(text).has_value()) << text;
  }
}

TEST(TextTest, WritesSizesInTheLargestUnitThatIsExact) {
  EXPECT_EQ(FormatSize(0), "0B");
  EXPECT_EQ(FormatSize(1023), "1023B");
  EXPECT_EQ(FormatSize(1536), "1536B");
  EXPECT_EQ(FormatSize(uint64_t{1536} << 10), "1536KiB");
  EXPECT_EQ(FormatSize(uint64_t{1} << 30), "1GiB");
}

TEST(TextTest, WritesRealsAsTomlFloats) {
  EXPECT_EQ(FormatReal(0.1), "0.1");
  EXPECT_EQ(FormatReal(1), "1.0");
  EXPECT_EQ(FormatReal(-3), "-3.0");
  EXPECT_EQ(FormatReal(1e-9), "1e-09");
  EXPECT_EQ(std::stod(FormatReal(0.1 + 0.2)), 0.1 + 0.2);
}

TEST(TextTest, QuotesTextAsToml) {
  EXPECT_EQ(QuoteText("a\"b\\c\nd\x01"), R"("a\"b\\c\nd\u0001")");
  EXPECT_EQ(QuoteText("grün"), "\"grün\"");
}

TEST(TextTest, MakesForeignTextFitForOneLineOfAMessage) {
  EXPECT_EQ(QuoteForMessage("two\nlines\x1b[31m"), "\"two\\nlines\\u001B[31m\"");
  EXPECT_EQ(QuoteForMessage("\xff\xc3"), "\"\\u00FF\\u00C3\"");
  EXPECT_EQ(QuoteForMessage(std::string(1000, 'a')), '"' + std::string(60, 'a') + "…\"");
  EXPECT_EQ(QuoteForMessage(std::string(59, 'a') + "ü"), '"' + std::string(59, 'a') + "…\"")
      << "a character is never cut in two";
}

TEST(TextTest, FindsTheNearestWord) {
  const std::vector<std::string> keys = {"policy.mode", "policy.staleness", "train.epochs"};
  EXPECT_EQ(Nearest("polcy.mode", keys), "policy.mode");
  EXPECT_EQ(Nearest("policy.moed", keys), "policy.mode");
  EXPECT_EQ(Nearest("train.epohcs", keys), "train.epochs");
  EXPECT_EQ(Nearest("job.epochs", keys), "train.epochs") << "the right key in the wrong section";
  EXPECT_EQ(Nearest("something.else", keys), "");
  EXPECT_EQ(Nearest("", keys), "");
  EXPECT_EQ(Nearest(std::string(1'000'000, 'x'), keys), "");
}

}  // namespace
}  // namespace shardmill::config
