#include "worker/data/csv_reader.h"

#include <gtest/gtest.h>

#include "tests/worker/data/files.h"
#include "tests/worker/data/kept_rows.h"

namespace shardmill {
namespace {

using Texts = std::vector<std::string>;

struct Read {
  Result<> result;
  KeptRows rows;
};

Read ReadText(std::string_view text, TableColumns& table, CsvOptions options = {}) {
  const std::vector<uint8_t> bytes = BytesOf(text);
  LineSource lines(SourceOf(bytes, "t.csv"), "t.csv");
  Read read;
  read.result = ReadCsv(lines, options, table, read.rows);
  return read;
}

Read ReadText(std::string_view text, TableChoice table_options, CsvOptions options = {}) {
  TableColumns table(std::move(table_options));
  return ReadText(text, table, options);
}

std::string MessageOf(const Read& read) {
  return read.result.ok() ? "" : read.result.error().message;
}

Texts Fields(std::string_view line) {
  std::vector<std::string_view> fields;
  std::string unquoted;
  EXPECT_EQ(SplitCsv(line, ',', fields, unquoted), CsvSplit::kWhole) << line;
  return {fields.begin(), fields.end()};
}

TEST(CsvReaderTest, CutsLinesIntoFields) {
  EXPECT_EQ(Fields("a,b"), (Texts{"a", "b"}));
  EXPECT_EQ(Fields(",,"), (Texts{"", "", ""}));
  EXPECT_EQ(Fields("\"a,b\",\"c\"\"d\",\"\""), (Texts{"a,b", "c\"d", ""}));
  EXPECT_EQ(Fields("\"two\nlines\",x"), (Texts{"two\nlines", "x"}));
  std::vector<std::string_view> fields;
  std::string unquoted;
  EXPECT_EQ(SplitCsv("a,\"b", ',', fields, unquoted), CsvSplit::kOpenQuote);
  EXPECT_EQ(SplitCsv("a,\"b\"c", ',', fields, unquoted), CsvSplit::kBadQuote);
  EXPECT_EQ(SplitCsv("a,b\"c", ',', fields, unquoted), CsvSplit::kBadQuote);
}

TEST(CsvReaderTest, LeavesBlanksAroundFieldsOut) {
  EXPECT_EQ(Fields(" a ,\tb c\t, \" d \" ,  "), (Texts{"a", "b c", " d ", ""}));
  std::vector<std::string_view> fields;
  std::string unquoted;
  EXPECT_EQ(SplitCsv("a\t\t b ", '\t', fields, unquoted), CsvSplit::kWhole);
  EXPECT_EQ(Texts(fields.begin(), fields.end()), (Texts{"a", "", "b"}));
  TableColumns table({.label = "kind", .features = {}, .categories = {"city", "kind"}});
  const Read read = ReadText(" city ,kind\nRome, big\n Rome ,big \n\" Rome\",big\n", table);
  ASSERT_EQ(read.rows.rows.size(), 3U) << MessageOf(read);
  EXPECT_EQ(table.Words(), (std::vector<Texts>{{"", "Rome", " Rome"}, {"big"}}));
}

TEST(CsvReaderTest, TakesAllColumnsBesideTheLabelAsNumbers) {
  const Read read = ReadText("x,label,y\r\n1.5,2,-3e2\r\n\r\n+4,0, 5 \r\n", {.label = "label"});
  ASSERT_TRUE(read.result.ok()) << MessageOf(read);
  ASSERT_EQ(read.rows.columns().size(), 2U);
  EXPECT_EQ(read.rows.columns()[0].name, "input");
  EXPECT_EQ(read.rows.columns()[0].row_shape, std::vector<uint64_t>{2});
  EXPECT_EQ(read.rows.columns()[1].name, "label");
  ASSERT_EQ(read.rows.rows.size(), 2U);
  EXPECT_EQ(read.rows.rows[0][0].floats, (std::vector<float>{1.5F, -300}));
  EXPECT_EQ(read.rows.rows[0][1].ids, std::vector<uint32_t>{2});
  EXPECT_EQ(read.rows.rows[1][0].floats, (std::vector<float>{4, 5}));
  EXPECT_EQ(read.rows.places, (std::vector<uint64_t>{2, 4}));
}

TEST(CsvReaderTest, TakesTheFeaturesThatAreNamedInTheirOrder) {
  const Read read = ReadText("a;b;c;d\n1;2;3;x\n",
                             {.label = "b", .target = TargetKind::kValue, .features = {"c", "a"}},
                             {.separator = ';'});
  ASSERT_TRUE(read.result.ok()) << MessageOf(read);
  EXPECT_EQ(read.rows.rows[0][0].floats, (std::vector<float>{3, 1}));
  EXPECT_EQ(read.rows.rows[0][1].floats, std::vector<float>{2});
}

TEST(CsvReaderTest, NumbersColumnsThatHaveNoNames) {
  const Read read = ReadText("1,7\n0,8\n", {.label = "1"}, {.header = false});
  ASSERT_EQ(read.rows.rows.size(), 2U) << MessageOf(read);
  EXPECT_EQ(read.rows.rows[0][0].floats, std::vector<float>{7});
  EXPECT_EQ(read.rows.rows[1][1].ids, std::vector<uint32_t>{0});
  EXPECT_EQ(read.rows.places, (std::vector<uint64_t>{1, 2}));
}

TEST(CsvReaderTest, MakesIdsOfWordsAndClassesOfTheLabels) {
  TableColumns table({.label = "kind", .features = {}, .categories = {"city", "kind"}});
  const Read train = ReadText("city,size,kind\nRome,1,big\nOslo,2,small\nRome,3,big\n", table);
  ASSERT_EQ(train.rows.rows.size(), 3U) << MessageOf(train);
  ASSERT_EQ(train.rows.columns().size(), 3U);
  EXPECT_EQ(train.rows.columns()[0].name, "numbers");
  EXPECT_EQ(train.rows.columns()[1].name, "city");
  std::vector<uint32_t> cities, kinds;
  for (const Row& row : train.rows.rows) {
    cities.push_back(row[1].ids[0]);
    kinds.push_back(row[2].ids[0]);
  }
  EXPECT_EQ(cities, (std::vector<uint32_t>{1, 2, 1}));
  EXPECT_EQ(kinds, (std::vector<uint32_t>{0, 1, 0}));
  EXPECT_EQ(table.Words(), (std::vector<Texts>{{}, {"", "Rome", "Oslo"}, {"big", "small"}}));

  // What was not there in training is "another word", and never a class.
  table.Close();
  const Read test = ReadText("kind,size,city\nsmall,4,Bonn\nhuge,5,Rome\n", table);
  ASSERT_EQ(test.rows.rows.size(), 1U);
  EXPECT_EQ(test.rows.rows[0][1].ids[0], 0U);
  EXPECT_EQ(test.rows.rows[0][2].ids[0], 1U);
  EXPECT_EQ(test.rows.bad,
            Texts{"3: wanted one of the words of training in column \"kind\", found \"huge\""});
}

TEST(CsvReaderTest, LearnsNoWordFromABadRow) {
  TableColumns table({.label = "kind", .features = {}, .categories = {"city", "kind"}});
  const Read read = ReadText("kind,city,size\nodd,Bonn,heavy\nbig,Rome,1\nsmall,Oslo,2\n", table);
  EXPECT_EQ(read.rows.bad, Texts{"2: wanted a number in column \"size\", found \"heavy\""});
  EXPECT_EQ(table.Words(), (std::vector<Texts>{{}, {"", "Rome", "Oslo"}, {"big", "small"}}));
}

TEST(CsvReaderTest, AnEmptyWordIsAWordOfACategoryAndNoClass) {
  TableColumns table({.label = "kind", .features = {}, .categories = {"city", "kind"}});
  const Read read = ReadText("city,kind\nBonn,\n,big\nRome,small\n", table);
  EXPECT_EQ(read.rows.bad, Texts{"2: wanted a class in column \"kind\", found nothing"});
  EXPECT_EQ(table.Words(), (std::vector<Texts>{{"", "", "Rome"}, {"big", "small"}}));
}

TEST(CsvReaderTest, SaysWhatIsWrongWithARowAndGoesOn) {
  const Read read = ReadText(
      "x,label\n1,0\nabc,0\n1\n1,0,0\n,0\n1,nan\n1,-1\n1,word\n1e400,0\n\"1\"x,0\n\"2\n3,1\n",
      {.label = "label"});
  ASSERT_TRUE(read.result.ok()) << MessageOf(read);
  EXPECT_EQ(read.rows.places, (std::vector<uint64_t>{2, 13}));
  const char* const kClass =
      "wanted a class from 0 on (where words are the classes, name it in data.categories too) in "
      "column \"label\", found ";
  EXPECT_EQ(
      read.rows.bad,
      (Texts{"3: wanted a number in column \"x\", found \"abc\"", "4: wanted 2 columns, found 1",
             "5: wanted 2 columns, found 3", "6: wanted a number in column \"x\", found nothing",
             std::string("7: ") + kClass + "\"nan\"",
             "8: wanted a class from 0 on in column \"label\", found \"-1.0\"",
             std::string("9: ") + kClass + "\"word\"",
             "10: wanted a number in column \"x\", found \"1e400\"",
             "11: wanted a separator or a second quote after a quote; a quote within a field "
             "is doubled, and the field quoted",
             "12: a quote opens a field and none closes it"}));
}

TEST(CsvReaderTest, ReadsQuotedFieldsOverSeveralLines) {
  const Read read =
      ReadText("x,label\n\"1\",\"\n\n0\"\n2,1\n", {.label = "label", .categories = {"label"}});
  ASSERT_EQ(read.rows.rows.size(), 2U);
  EXPECT_EQ(read.rows.places, (std::vector<uint64_t>{2, 5}));
  EXPECT_EQ(read.rows.rows[1][0].floats[0], 2);
}

// In time that grows as the columns do: by pairs these would take longer than a test may.
TEST(CsvReaderTest, ReadsATableOfManyColumns) {
  constexpr size_t kColumns = 200'000;
  std::string text = "label";
  for (size_t i = 1; i < kColumns; ++i) text += ",c" + std::to_string(i);
  text += "\n1";
  for (size_t i = 1; i < kColumns; ++i) text += ",2";
  const Read read = ReadText(text + "\n", {.label = "label"});
  ASSERT_EQ(read.rows.rows.size(), 1U);
  EXPECT_EQ(read.rows.rows[0][0].floats.size(), kColumns - 1);
}

TEST(CsvReaderTest, NamesAColumnThatIsNotThere) {
  EXPECT_EQ(MessageOf(ReadText("width,height\n1,2\n", {.label = "heigth"})),
            "t.csv:1: there is no column \"heigth\", which data.label names; did you mean "
            "\"height\"? there are \"width\", \"height\"");
  EXPECT_NE(MessageOf(ReadText("a,b\n", {.label = "a", .features = {"c"}})).find("data.features"),
            std::string::npos);
  EXPECT_NE(MessageOf(ReadText("a,b\n", {.label = "a", .categories = {"c"}})).find("data.categ"),
            std::string::npos);
  EXPECT_NE(MessageOf(ReadText("a,a\n", {.label = "a"})).find("two columns are called \"a\""),
            std::string::npos);
  EXPECT_NE(MessageOf(ReadText("a,b\n", {.label = "a", .features = {"b"}, .categories = {"b"}}))
                .find("named twice"),
            std::string::npos);
  EXPECT_NE(MessageOf(ReadText("a\n", {.label = "a"})).find("nothing to learn from"),
            std::string::npos);
  EXPECT_EQ(MessageOf(ReadText("", {.label = "a"})), "t.csv: the file is empty");
}

TEST(CsvReaderTest, AnyBytesGiveRowsOrWords) {
  const std::string good = "x,label\n1,0\n\"2\",1\n3,\"4\n5\"\n";
  for (size_t place = 0; place < good.size(); ++place) {
    for (const char byte : {'\0', '"', '\n', ',', '\xff', '9'}) {
      std::string text = good;
      text[place] = byte;
      const Read read = ReadText(text, {.label = "label"});
      EXPECT_TRUE(!read.result.ok() || read.rows.rows.size() + read.rows.bad.size() > 0) << text;
    }
  }
}

}  // namespace
}  // namespace shardmill
