#include "worker/data/r_reader.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <set>

#include "tests/worker/data/files.h"
#include "tests/worker/data/kept_rows.h"
#include "tests/worker/data/r_writer.h"

namespace shardmill {
namespace {

using Bytes = std::vector<uint8_t>;

constexpr char kLetters[] = "/usr/lib/R/site-library/mlbench/data/LetterRecognition.rda";

// width, count, kind, note
void WriteFrame(RWriter& writer) {
  writer.Whole(0x0300 | 19).Whole(4);
  writer.Numbers({1.5, 2.5, 3.5});
  writer.Wholes({7, 0x80000000, 9});  // The second is NA.
  writer.Wholes({2, 1, 2}, true).Link("levels").Texts({"low", "high"});
  writer.Link("class").Texts({"factor"}).End();
  writer.Texts({"x", "y", "x"});
  writer.Link("names").Texts({"width", "count", "kind", "note"});
  writer.Link("class").Texts({"data.frame"}).End();
}

struct Read {
  Result<> result;
  KeptRows rows;
};

Read ReadFile(const std::string& path, TableColumns& table, const std::string& object = "") {
  Read read;
  read.result = ReadRFrame(path, object, table, read.rows);
  return read;
}

TEST(RReaderTest, ReadsDataFramesPackedInAnyWay) {
  const TestFolder folder;
  const Bytes plain = RWriter::Rda("things", WriteFrame);
  for (const Bytes& bytes : {plain, Gzipped(plain), Bzipped(plain), Xzipped(plain)}) {
    TableColumns table({.label = "kind", .categories = {"note"}});
    const Read read = ReadFile(folder.Write("f.rda", bytes), table);
    ASSERT_TRUE(read.result.ok()) << read.result.error().message;
    ASSERT_EQ(read.rows.columns().size(), 3U);
    EXPECT_EQ(read.rows.columns()[0].row_shape, std::vector<uint64_t>{2});
    ASSERT_EQ(read.rows.rows.size(), 2U);
    EXPECT_EQ(read.rows.rows[0][0].floats, (std::vector<float>{1.5F, 7}));
    EXPECT_EQ(read.rows.rows[1][1].ids, std::vector<uint32_t>{1});
    EXPECT_EQ(read.rows.rows[1][2].ids, std::vector<uint32_t>{1});
    EXPECT_EQ(read.rows.bad,
              std::vector<std::string>{"2: wanted a number in column \"count\", found \"NA\""});
    EXPECT_EQ(table.Words()[2], (std::vector<std::string>{"low", "high"}));
  }
}

TEST(RReaderTest, SaysWhatIsNotThere) {
  const TestFolder folder;
  const std::string path = folder.Write("f.rda", RWriter::Rda("things", WriteFrame));
  TableColumns table({.label = "kind"});
  EXPECT_EQ(ReadFile(path, table, "other").result.error().message,
            path + ": it has no object \"other\" (data.object)");
  TableColumns number({.label = "kind", .target = TargetKind::kValue});
  EXPECT_NE(ReadFile(path, number).result.error().message.find("holds words"), std::string::npos);
  const std::string text = folder.WriteText("t.rda", "a,b\n");
  EXPECT_NE(ReadFile(text, table).result.error().message.find("not a file that R's save()"),
            std::string::npos);
  const std::string list =
      folder.Write("l.rda", RWriter::Rda("l", [](RWriter& writer) { writer.Numbers({1}); }));
  EXPECT_EQ(ReadFile(list, table).result.error().message, list + ": it has no data frame");
}

TEST(RReaderTest, AnyBytesGiveRowsOrWords) {
  const Bytes good = RWriter::Rda("things", WriteFrame);
  const std::span<const uint8_t> value = std::span(good).subspan(5);
  EXPECT_TRUE(ParseRValue(value, "f").ok());
  for (size_t size = 0; size < value.size(); ++size) {
    const Result<RValue> cut = ParseRValue(value.first(size), "f");
    ASSERT_FALSE(cut.ok()) << size;
    EXPECT_EQ(cut.error().code, ErrorCode::kBadInput);
  }
  for (size_t place = 0; place < value.size(); ++place) {
    for (const uint8_t byte : Bytes{0x00, 0x01, 0x02, 0x13, 0x7f, 0xee, 0xff}) {
      Bytes changed(value.begin(), value.end());
      changed[place] = byte;
      const Result<RValue> read = ParseRValue(changed, "f");
      TableColumns table({.label = "kind"});
      KeptRows rows;
      if (!read.ok()) continue;
      for (const auto& [name, frame] : read.value().attributes) {
        const Result<> taken = TakeRFrame("f", frame, table, rows);
        EXPECT_TRUE(taken.ok() || !taken.error().message.empty());
      }
    }
  }
}

// A few bytes stand for a range of any length.
TEST(RReaderTest, RefusesARangeLongerThanAnyTableInItsFile) {
  const auto range = [](double length) {
    const Bytes bytes = RWriter::Value([length](RWriter& writer) {
      writer.Whole(238);
      writer.Whole(2).Symbol("compact_intseq").End();
      writer.Numbers({length, 7, 1}).End();
    });
    return ParseRValue(bytes, "f");
  };
  const Result<RValue> few = range(3);
  ASSERT_TRUE(few.ok()) << few.error().message;
  EXPECT_EQ(few.value().wholes, (std::vector<int32_t>{7, 8, 9}));
  const Result<RValue> many = range(1 << 27);
  ASSERT_FALSE(many.ok());
  EXPECT_NE(many.error().message.find("of too many parts"), std::string::npos);
}

TEST(RReaderTest, ReadsMovieLens) {
  if (!std::filesystem::exists(kMovieLensFile)) {
    GTEST_SKIP() << "the data set is not there: apt-get install r-cran-dslabs";
  }
  TableColumns table({.label = "rating",
                      .target = TargetKind::kValue,
                      .features = {},
                      .others = false,
                      .categories = {"userId", "movieId"}});
  const Read read = ReadFile(kMovieLensFile, table, kMovieLensObject);
  ASSERT_TRUE(read.result.ok()) << read.result.error().message;
  EXPECT_EQ(read.rows.rows.size(), 100'004U);
  EXPECT_TRUE(read.rows.bad.empty());
  EXPECT_EQ(table.Words()[0].size(), 672U);  // And other users.
  EXPECT_EQ(table.Words()[1].size(), 9'067U);
  double sum = 0;
  for (const Row& row : read.rows.rows) sum += row[2].floats[0];
  EXPECT_NEAR(sum / 100'004, 3.5436, 1e-4);
}

TEST(RReaderTest, ReadsLetterRecognition) {
  if (!std::filesystem::exists(kLetters)) {
    GTEST_SKIP() << "the data set is not there: apt-get install r-cran-mlbench";
  }
  TableColumns table({.label = "lettr"});
  const Read read = ReadFile(kLetters, table);
  ASSERT_TRUE(read.result.ok()) << read.result.error().message;
  EXPECT_EQ(read.rows.rows.size(), 20'000U);
  EXPECT_EQ(read.rows.columns()[0].row_shape, std::vector<uint64_t>{16});
  std::set<uint32_t> classes;
  for (const Row& row : read.rows.rows) classes.insert(row[1].ids[0]);
  EXPECT_EQ(classes.size(), 26U);
  EXPECT_EQ(table.Words()[1][19], "T");
  EXPECT_EQ(read.rows.rows[0][1].ids[0], 19U);  // The first is a T.
}

}  // namespace
}  // namespace shardmill
