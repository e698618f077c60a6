#include "common/config/document.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

namespace shardmill::config {
namespace {

std::string Repeat(const std::string& text, size_t times) {
  std::string all;
  for (size_t i = 0; i < times; ++i) all += text;
  return all;
}

std::string ErrorOf(const std::string& text) {
  const Result<Node> document = ParseDocument(text);
  return document.ok() ? "" : document.error().message;
}

TEST(DocumentTest, KeepsKindAndPlaceOfEveryValue) {
  const Result<Node> document = ParseDocument("a = 1\n[b]\n  c = [true, 1.5]\nd = \"x\"\n");
  ASSERT_TRUE(document.ok()) << document.error().message;
  const Node& root = document.value();
  ASSERT_EQ(root.members.size(), 2U);
  EXPECT_EQ(root.members[0].key, "a");
  EXPECT_EQ(root.members[0].value.whole, 1);
  const Node& table = root.members[1].value;
  ASSERT_EQ(table.members.size(), 2U);
  EXPECT_EQ(table.members[0].at, (Position{3, 3}));
  EXPECT_EQ(table.members[0].value.at, (Position{3, 7}));
  EXPECT_EQ(table.members[0].value.items[0].kind, Kind::kFlag);
  EXPECT_EQ(table.members[0].value.items[1].real, 1.5);
  EXPECT_EQ(table.members[1].value.text, "x");
}

TEST(DocumentTest, KeepsTheOrderOfTheFile) {
  const Result<Node> document = ParseDocument("z = 1\nm = 2\na = 3\n");
  ASSERT_TRUE(document.ok());
  EXPECT_EQ(document.value().members[0].key, "z");
  EXPECT_EQ(document.value().members[2].key, "a");
}

TEST(DocumentTest, SaysWhereTheSyntaxIsWrong) {
  EXPECT_EQ(ErrorOf("a = 1\nb = = 2\n").substr(0, 4), "2:5:");
  EXPECT_EQ(ErrorOf("a = 1\na = 2\n").substr(0, 2), "2:");
  EXPECT_NE(ErrorOf("a = \"never closed"), "");
  EXPECT_NE(ErrorOf("a = 99999999999999999999999"), "");
}

// These break assertions of toml++ 3.3.
TEST(DocumentTest, SaysWhichLineMakesTheParserGiveUp) {
  EXPECT_EQ(ErrorOf("[[="), "1:1: this line is not TOML");
  EXPECT_EQ(ErrorOf("a = 1\n\n[[[b]]]\nc = 2\n"), "3:1: this line is not TOML");
  EXPECT_EQ(ErrorOf("a = \"\"\"\n[[=\n\"\"\"\n[[]\n").substr(0, 2), "4:");
}

// The parser's tests for blanks run off their end on some of these.
TEST(DocumentTest, RefusesCharactersBeyondAsciiOutsideOfQuotes) {
  EXPECT_EQ(ErrorOf("a = 1ü"), "1:6: a character beyond ASCII must stand in quotes");
  EXPECT_EQ(ErrorOf("# ü\na = \"ü\" é"), "2:9: a character beyond ASCII must stand in quotes");
  EXPECT_EQ(ErrorOf("ключ = 1"), "1:1: a character beyond ASCII must stand in quotes");
  EXPECT_EQ(ErrorOf("a = \"open\nü = 1"), "2:1: a character beyond ASCII must stand in quotes");
}

TEST(DocumentTest, KnowsWhereTextBeginsAndEnds) {
  for (const char* text :
       {"a = \"ü\"", "a = 'ü'", "a = '\\' # ü", "a = \"\\\"ü\"", "a = \"\" # ü", "a = '' # ü",
        "a = \"\"\"\nü\"ü\"\"ü\\\"\"\"\" # ü", "a = '''\nü'ü''ü'''", "a = \"\"\"ü\"\"\"\"\" # ü",
        "a = \"\"\"ü\"\"\"\"\nb = 'ü'", "\xEF\xBB\xBFq = 1", "\"ü\" = 1", "# \"\na = 1 # '\n"}) {
    EXPECT_EQ(ErrorOf(text), "") << text;
  }
  EXPECT_EQ(ErrorOf("a = \"\"\"x\"\"\"\"\"ü").substr(0, 5), "1:14:");
  EXPECT_EQ(ErrorOf("a = '\\'ü").substr(0, 4), "1:8:");
}

TEST(DocumentTest, NamesEveryKindInWords) {
  const Result<Node> document = ParseDocument("a = 2026-01-01\nb = {}\nc = []\n");
  ASSERT_TRUE(document.ok());
  EXPECT_EQ(KindWords(document.value().members[0].value.kind), "a date or time");
  EXPECT_EQ(KindWords(document.value().members[1].value.kind), "a table");
  EXPECT_EQ(KindWords(document.value().members[2].value.kind), "a list");
}

TEST(DocumentTest, ReadsOneValueAndNotTwo) {
  EXPECT_EQ(ParseValue("[1, 2]")->items.size(), 2U);
  EXPECT_FALSE(ParseValue("1\nother = 2").ok());
  EXPECT_FALSE(ParseValue("1\n[section]").ok());
  EXPECT_FALSE(ParseValue("").ok());
}

TEST(DocumentTest, SurvivesUnicode) {
  const Result<Node> document = ParseDocument("\"ключ\" = \"値 🙂\"\n");
  ASSERT_TRUE(document.ok()) << document.error().message;
  EXPECT_EQ(document.value().members[0].key, "ключ");
  EXPECT_EQ(document.value().members[0].value.text, "値 🙂");
  EXPECT_NE(ErrorOf("a = \"\xff\xfe\""), "");
  EXPECT_NE(ErrorOf("a = \"\xed\xa0\x80\""), "") << "half of a surrogate pair";
  EXPECT_NE(ErrorOf(std::string("a = 1\0b", 7)), "");
}

TEST(DocumentTest, RefusesTextThatNestsTooDeep) {
  EXPECT_NE(ErrorOf("a = " + Repeat("[", 100'000)), "");
  EXPECT_NE(ErrorOf("a = " + Repeat("{a=", 100'000)), "");
  EXPECT_NE(ErrorOf("a = " + Repeat("[", 20) + Repeat("]", 20)), "");
  EXPECT_EQ(ErrorOf(Repeat("a.", 100'000) + "a = 1"),
            "1:1: more than 256 dots in one line, which no job file needs");
  EXPECT_EQ(ErrorOf("\n[" + Repeat("a.", 100'000) + "a]").substr(0, 4), "2:1:");
  EXPECT_EQ(ErrorOf(Repeat("a.", 256) + "a = 1"), "");
}

TEST(DocumentTest, RefusesTextThatIsTooLong) {
  EXPECT_EQ(ErrorOf(std::string(kDocumentBytesMax + 1, ' ')),
            "larger than 1MiB, which no job file needs");
  EXPECT_EQ(ErrorOf(std::string(kDocumentBytesMax, '\n')), "");
}

TEST(DocumentTest, SurvivesALongLineAndManyKeys) {
  EXPECT_EQ(ErrorOf("a = \"" + std::string(900'000, 'x') + "\""), "");
  std::string many;
  for (int i = 0; i < 20'000; ++i) many += "key_" + std::to_string(i) + " = 1\n";
  EXPECT_EQ(ErrorOf(many), "");
}

// Each change of a good file must give a tree or words; what it must not do is crash.
TEST(DocumentTest, SurvivesRandomDamage) {
  const std::string good =
      "[model]\nloss = \"x\"\nlayers = [ { type = \"affine\", units = 10 }, {a.b = 1e5} ]\n"
      "[[list]]\nd = 2026-01-01T10:00:00Z\nm = '''\nx'''\nh = 0xFF\n";
  std::mt19937 random(7);
  size_t refused = 0;
  for (int round = 0; round < 5'000; ++round) {
    std::string text = good;
    for (int change = 0; change < 3; ++change) {
      text[random() % text.size()] = static_cast<char>(random() % 256);
    }
    const Result<Node> document = ParseDocument(text);
    if (document.ok()) continue;
    ++refused;
    EXPECT_FALSE(document.error().message.empty());
    EXPECT_EQ(document.error().message.find('\n'), std::string::npos) << document.error().message;
  }
  EXPECT_GT(refused, 1'000U);
}

}  // namespace
}  // namespace shardmill::config
