// The readers whose rows are single lines: libsvm's and Criteo's.
#include <gtest/gtest.h>

#include <cmath>

#include "tests/worker/data/files.h"
#include "tests/worker/data/kept_rows.h"
#include "worker/data/criteo_reader.h"
#include "worker/data/libsvm_reader.h"

namespace shardmill {
namespace {

using Texts = std::vector<std::string>;
using Ids = std::vector<uint32_t>;

KeptRows ReadText(std::string_view text, LineParser& parser) {
  const std::vector<uint8_t> bytes = BytesOf(text);
  LineSource lines(SourceOf(bytes, "f"), "f");
  KeptRows rows;
  const Result<> read = ReadLines(lines, parser, rows);
  EXPECT_TRUE(read.ok()) << read.error().message;
  return rows;
}

TEST(LibsvmReaderTest, ReadsSparseRowsWithIdsFromOneOn) {
  LibsvmParser parser(TargetKind::kClass);
  const KeptRows rows = ReadText("+1 1:0.5 3:-2 \n-1\t10:1e3 # a comment 4:5\n3\n", parser);
  EXPECT_EQ(rows.bad, Texts{});
  ASSERT_EQ(rows.rows.size(), 3U);
  EXPECT_EQ(rows.columns()[0].kind, ColumnKind::kSparse);
  EXPECT_EQ(rows.rows[0][0].ids, (Ids{0, 2}));
  EXPECT_EQ(rows.rows[0][0].floats, (std::vector<float>{0.5F, -2}));
  EXPECT_EQ(rows.rows[0][1].ids, Ids{1});
  EXPECT_EQ(rows.rows[1][0].ids, Ids{9});
  EXPECT_EQ(rows.rows[1][1].ids, Ids{0});
  EXPECT_EQ(rows.rows[2][0].ids, Ids{});
}

TEST(LibsvmReaderTest, ReadsNumbersAsTargets) {
  LibsvmParser parser(TargetKind::kValue);
  const KeptRows rows = ReadText("-2.5 1:1\nx 1:1\n", parser);
  EXPECT_EQ(rows.rows[0][1].floats, std::vector<float>{-2.5F});
  EXPECT_EQ(rows.bad, Texts{"2: wanted a number as the label, found \"x\""});
}

TEST(LibsvmReaderTest, LearnsNoLabelFromABadRow) {
  LibsvmParser parser(TargetKind::kClass);
  const KeptRows rows = ReadText("-1 x\n0 1:1\n-1 1:1\n0 2:1\n", parser);
  EXPECT_EQ(rows.places, (std::vector<uint64_t>{2, 4}));
  EXPECT_EQ(rows.bad,
            (Texts{"1: wanted ID:NUMBER, found \"x\"",
                   "3: the label is -1, and there are labels -1 and 0, which would be one class"}));
}

TEST(LibsvmReaderTest, SaysWhatIsWrongWithARow) {
  LibsvmParser parser(TargetKind::kClass);
  const KeptRows rows = ReadText(
      "1 0:1\n1 2:1 2:1\n1 3:1 2:1\n1 2\n1 x:1\n1 2:\n1 2:inf\n1.5 1:1\n 99999999999 1:1\n"
      "1 4294967295:1\n1 4294967296:1\n-1 1:1\n0 1:1\n",
      parser);
  EXPECT_EQ(rows.places, std::vector<uint64_t>{12});
  EXPECT_EQ(
      rows.bad,
      (Texts{"1: ids begin with 1 and end with 4294967294, and here is 0",
             "2: ids ascend in a row, and 2 follows 2", "3: ids ascend in a row, and 2 follows 3",
             "4: wanted ID:NUMBER, found \"2\"", "5: wanted ID:NUMBER, found \"x:1\"",
             "6: wanted ID:NUMBER, found \"2:\"", "7: wanted ID:NUMBER, found \"2:inf\"",
             "8: wanted a class as the label, -1 or a whole number from 0 on, found \"1.5\"",
             "9: wanted a class as the label, -1 or a whole number from 0 on, found "
             "\"99999999999\"",
             "10: ids begin with 1 and end with 4294967294, and here is 4294967295",
             "11: wanted ID:NUMBER, found \"4294967296:1\"",
             "13: the label is 0, and there are labels -1 and 0, which would be one class"}));
}

// A row of Criteo's, with 13 numbers and 26 categories.
std::string CriteoLine(const std::string& label, const std::string& number,
                       const std::string& word) {
  std::string line = label;
  for (size_t i = 0; i < CriteoParser::kNumbers; ++i) line += "\t" + number;
  for (size_t i = 0; i < CriteoParser::kCategories; ++i) line += "\t" + word;
  return line + "\n";
}

TEST(CriteoReaderTest, TakesLogsOfNumbersAndKeysOfWords) {
  CriteoParser parser(0);
  const KeptRows rows = ReadText(
      CriteoLine("1", "9", "68fd1e64") + CriteoLine("0", "", "") + CriteoLine("0", "-3", "a"),
      parser);
  EXPECT_EQ(rows.bad, Texts{});
  ASSERT_EQ(rows.rows.size(), 3U);
  EXPECT_EQ(rows.columns()[0].name, "numbers");
  EXPECT_EQ(rows.columns()[1].name, "categories");
  EXPECT_EQ(rows.columns()[1].kind, ColumnKind::kKeys);
  EXPECT_FLOAT_EQ(rows.rows[0][0].floats[12], std::log(10.0F));
  EXPECT_EQ(rows.rows[1][0].floats[0], 0);
  EXPECT_FLOAT_EQ(rows.rows[2][0].floats[0], -std::log(4.0F));
  EXPECT_EQ(rows.rows[0][2].ids, Ids{1});
  EXPECT_EQ(rows.rows[0][1].keys[0], CategoryKey(0, "68fd1e64"));
  EXPECT_EQ(rows.rows[1][1].keys[25], CategoryKey(25, ""));
  // The same word means something else in another column.
  EXPECT_NE(rows.rows[0][1].keys[0], rows.rows[0][1].keys[1]);
}

// Tables of embeddings outlive the program that made them.
TEST(CriteoReaderTest, KeysAreTheSameForEver) {
  EXPECT_EQ(CategoryKey(3, "68fd1e64"), CategoryKey(3, std::string("68fd1e64")));
  EXPECT_EQ(CategoryKey(0, "a"), 6774081908283191102U);
  EXPECT_EQ(CategoryKey(25, "a longer word"), 10054978418727557263U);
}

TEST(CriteoReaderTest, ThrowsKeysIntoBuckets) {
  CriteoParser parser(100);
  const KeptRows rows = ReadText(CriteoLine("1", "1", "x") + CriteoLine("1", "1", "y"), parser);
  EXPECT_EQ(rows.columns()[1].kind, ColumnKind::kIds);
  EXPECT_EQ(rows.columns()[1].ids_end, 100U);
  ASSERT_EQ(rows.rows.size(), 2U);
  for (const Row& row : rows.rows) {
    for (const uint32_t id : row[1].ids) EXPECT_LT(id, 100U);
  }
  EXPECT_NE(rows.rows[0][1].ids, rows.rows[1][1].ids);
}

TEST(CriteoReaderTest, SaysWhatIsWrongWithARow) {
  CriteoParser parser(0);
  const std::string good = CriteoLine("1", "1", "x");
  const KeptRows rows = ReadText(CriteoLine("2", "1", "x") + CriteoLine("", "1", "x") +
                                     CriteoLine("1", "1.5", "x") + good.substr(0, good.size() - 3) +
                                     "\n" + good.substr(0, good.size() - 1) + "\ty\n1\t2\n" + good,
                                 parser);
  EXPECT_EQ(rows.rows.size(), 1U);
  EXPECT_EQ(rows.bad, (Texts{"1: wanted 0 or 1 in column 1, the label, found \"2\"",
                             "2: wanted 0 or 1 in column 1, the label, found nothing",
                             "3: wanted a whole number in column 2, found \"1.5\"",
                             "4: wanted 40 columns between tabs, found 39",
                             "5: wanted 40 columns between tabs, found 41",
                             "6: wanted 40 columns between tabs, found 2"}));
}

}  // namespace
}  // namespace shardmill
