#include "worker/data/read_data.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <set>
#include <sstream>

#include "tests/worker/data/files.h"
#include "worker/data/file_list.h"
#include "worker/data/r_reader.h"

namespace shardmill {
namespace {

using Strings = std::vector<std::string>;

// The [data] section of a job file with these lines.
DataOptions OptionsOf(const std::string& lines) {
  Result<Job> job = ParseJob("job.toml", "[data]\n" + lines, {});
  EXPECT_TRUE(job.ok()) << job.error().message;
  return job.ok() ? job->options.data : DataOptions{};
}

DataParts Read(const std::string& lines, uint64_t seed = 1) {
  Result<DataParts> parts = ReadData(OptionsOf(lines), seed, nullptr);
  EXPECT_TRUE(parts.ok()) << parts.error().message;
  return parts.ok() ? std::move(parts).value() : DataParts{};
}

Error ErrorOf(const std::string& lines) {
  const Result<DataParts> parts = ReadData(OptionsOf(lines), 1, nullptr);
  EXPECT_FALSE(parts.ok());
  return parts.ok() ? Error{} : parts.error();
}

// x counts from `begin`, y is ten times as much, and the label x modulo 3.
std::string CountedCsv(int begin, int end) {
  std::ostringstream text;
  text << "x,y,label\n";
  for (int i = begin; i < end; ++i) text << i << ',' << i * 10 << ',' << i % 3 << '\n';
  return text.str();
}

std::vector<float> FirstNumbers(const SampleStore& store) {
  std::vector<float> numbers;
  const uint64_t row_size = store.columns()[0].row_size();
  for (uint64_t i = 0; i < store.rows(); ++i)
    numbers.push_back(store.column(0).floats[i * row_size]);
  return numbers;
}

class ReadDataTest : public testing::Test {
 protected:
  std::string Csv(const std::string& name, int begin, int end) {
    return folder_.WriteText(name, CountedCsv(begin, end));
  }

  const TestFolder folder_;
};

TEST_F(ReadDataTest, TrainValidateAndTestNameFiles) {
  const std::string train = Csv("train.csv", 0, 10);
  const std::string other = Csv("other.csv", 10, 14);
  const std::string test = folder_.Write("test.csv.gz", Gzipped(BytesOf(CountedCsv(20, 22))));
  const DataParts parts = Read("format = 'csv'\ntrain = '" + train + "'\nvalidate = ['" + other +
                               "']\ntest = '" + test + "'");
  ASSERT_NE(parts.test, nullptr);
  EXPECT_EQ(parts.train->rows(), 10U);
  EXPECT_EQ(parts.train->columns()[0].row_shape, std::vector<uint64_t>{2});
  EXPECT_EQ(parts.train->target().ids_end, 3U);
  EXPECT_EQ(parts.validate->rows(), 4U);
  EXPECT_EQ(FirstNumbers(*parts.test), (std::vector<float>{20, 21}));
  EXPECT_EQ(parts.measured(), parts.test);
  EXPECT_EQ(Read("format = 'csv'\ntrain = '" + train + "'").measured()->rows(), 10U);
}

TEST_F(ReadDataTest, PatternsAreReadInTheOrderOfNames) {
  Csv("b.csv", 2, 4);
  Csv("a.csv", 0, 2);
  const std::string z = Csv("z.csv", 9, 10);
  const DataParts parts =
      Read("format = 'csv'\ntrain = ['" + z + "', '" + folder_.path() + "/[ab].csv']");
  EXPECT_EQ(FirstNumbers(*parts.train), (std::vector<float>{9, 0, 1, 2, 3}));
  EXPECT_NE(ErrorOf("format = 'csv'\ntrain = '" + folder_.path() + "/*.txt'")
                .message.find("no file fits this pattern (data.train)"),
            std::string::npos);
}

TEST_F(ReadDataTest, FormatsAndTheirKeysAreWhatIsRead) {
  const std::string path = folder_.WriteText("t", "a;b;c\n1;2;cat\n3;4;dog\n");
  const std::string csv = "format = 'csv'\nseparator = ';'\ntrain = '" + path + "'\n";
  const DataParts words = Read(csv + "label = 'c'\ncategories = ['c']\nfeatures = ['b']");
  EXPECT_EQ(FirstNumbers(*words.train), (std::vector<float>{2, 4}));
  EXPECT_EQ(words.train->target().words, (Strings{"cat", "dog"}));
  const DataParts values = Read(csv + "label = 'b'\ntarget = 'value'\nfeatures = 'a'");
  EXPECT_EQ(values.train->target().kind, ColumnKind::kFloats);
  EXPECT_EQ(values.train->column(1).floats[1], 4);
  const std::string plain = folder_.WriteText("p", "1,0\n2,1\n");
  EXPECT_EQ(
      Read("format = 'csv'\nheader = false\nlabel = '2'\ntrain = '" + plain + "'").train->rows(),
      2U);
  const std::string svm = folder_.WriteText("s", "1 5:1\n0 7:1\n");
  const DataParts sparse = Read("format = 'libsvm'\ntrain = '" + svm + "'");
  EXPECT_EQ(sparse.train->columns()[0].ids_end, 7U);
}

TEST_F(ReadDataTest, BucketsBoundTheIdsOfCriteosCategories) {
  std::string line = "1";
  for (int i = 0; i < 39; ++i) line += "\t5";
  const std::string clicks =
      "format = 'criteo_tsv'\ntrain = '" + folder_.WriteText("c", line + "\n") + "'\n";
  EXPECT_EQ(Read(clicks).train->columns()[1].kind, ColumnKind::kKeys);
  const DataParts ids = Read(clicks + "buckets = 16");
  EXPECT_EQ(ids.train->columns()[1].kind, ColumnKind::kIds);
  EXPECT_EQ(ids.train->columns()[1].ids_end, 16U);
}

TEST_F(ReadDataTest, ObjectNamesOneOfRsDataFrames) {
  if (!std::filesystem::exists(kMovieLensFile)) {
    GTEST_SKIP() << "the data set is not there: apt-get install r-cran-dslabs";
  }
  const std::string r = std::string("format = 'r_data'\ntrain = '") + kMovieLensFile +
                        "'\nlabel = 'total'\ntarget = 'value'\nfeatures = 'population'\n";
  EXPECT_EQ(Read(r + "object = 'murders'").train->rows(), 51U);
  EXPECT_NE(ErrorOf(r).message.find("several data frames"), std::string::npos);
}

TEST_F(ReadDataTest, MovieLensHasAPlaceOfItsOwn) {
  if (!std::filesystem::exists(kMovieLensFile)) {
    GTEST_SKIP() << "the data set is not there: apt-get install r-cran-dslabs";
  }
  const DataParts parts = Read("format = 'movielens'\nsplit = [0.8, 0, 0.2]");
  EXPECT_EQ(parts.train->rows() + parts.test->rows(), 100'004U);
  EXPECT_NEAR(static_cast<double>(parts.test->rows()), 20'001, 4);
  EXPECT_EQ(parts.validate, nullptr);
  EXPECT_EQ(parts.train->columns()[0].name, "userId");
  EXPECT_EQ(parts.train->columns()[1].ids_end, 9'067U);
}

TEST_F(ReadDataTest, SplitDealsSharesBySeed) {
  const std::string path = Csv("all.csv", 0, 3000);
  const std::string split = "format = 'csv'\ntrain = '" + path + "'\nsplit = [0.7, 0.2, 0.1]\n";
  const DataParts parts = Read(split, 7);
  EXPECT_EQ(parts.train->rows(), 2100U);
  EXPECT_EQ(parts.validate->rows(), 600U);
  EXPECT_EQ(parts.test->rows(), 300U);
  std::set<float> seen;
  for (const auto& part : {parts.train, parts.validate, parts.test}) {
    for (const float number : FirstNumbers(*part)) seen.insert(number);
  }
  EXPECT_EQ(seen.size(), 3000U);
  EXPECT_EQ(FirstNumbers(*Read(split, 7).test), FirstNumbers(*parts.test));
  EXPECT_NE(FirstNumbers(*Read(split, 8).test), FirstNumbers(*parts.test));
}

TEST_F(ReadDataTest, SplitLeavesPartsWithFilesAsTheyAre) {
  const std::string train = Csv("train.csv", 0, 1000);
  const std::string test = Csv("test.csv", 5000, 5003);
  const DataParts parts = Read("format = 'csv'\ntrain = '" + train + "'\ntest = '" + test +
                               "'\nsplit = [0.75, 0.25]\n");
  EXPECT_EQ(parts.train->rows(), 750U);
  EXPECT_EQ(parts.validate->rows(), 250U);
  EXPECT_EQ(FirstNumbers(*parts.test), (std::vector<float>{5000, 5001, 5002}));
  const DataParts other = Read("format = 'csv'\ntrain = '" + train + "'\nvalidate = '" + test +
                               "'\nsplit = [0.75, 0, 0.25]\n");
  EXPECT_EQ(other.validate->rows(), 3U);
  EXPECT_EQ(FirstNumbers(*other.test), FirstNumbers(*parts.validate));
}

TEST_F(ReadDataTest, SplitKeepsPicturesApartToValidateWith) {
  const auto write = [this](const std::string& name, uint32_t rows) {
    std::vector<uint8_t> pixels(rows * 4), labels(rows);
    for (uint32_t i = 0; i < rows; ++i) labels[i] = static_cast<uint8_t>(i % 3);
    folder_.Write(name + "-images-idx3-ubyte", Idx({rows, 2, 2}, pixels));
    folder_.Write(name + "-labels-idx1-ubyte", Idx({rows}, labels));
  };
  write("train", 1000);
  write("t10k", 20);
  const std::string idx = "folder = '" + folder_.path() + "'\n";
  EXPECT_EQ(Read(idx).validate, nullptr);
  const DataParts parts = Read(idx + "split = [0.9, 0.1]");
  EXPECT_EQ(parts.train->rows(), 900U);
  EXPECT_EQ(parts.validate->rows(), 100U);
  EXPECT_EQ(parts.test->rows(), 20U);
}

TEST_F(ReadDataTest, BadRowsMaxSaysHowManyAreLeftOut) {
  const std::string path = folder_.WriteText("b.csv", "x,label\n1,0\nabc,1\n2,0,3\n5,1\n");
  const std::string csv = "format = 'csv'\ntrain = '" + path + "'\n";
  const Error error = ErrorOf(csv);
  EXPECT_EQ(error.code, ErrorCode::kBadUsage);
  EXPECT_EQ(error.message,
            path +
                ":3: wanted a number in column \"x\", found \"abc\"\ndata.bad_rows_max is 0, and "
                "this row cannot be read; mend the file, or raise it to leave such rows out");
  EXPECT_NE(ErrorOf(csv + "bad_rows_max = 1").message.find(path + ":4: wanted 2 columns, found 3"),
            std::string::npos);
  const DataParts parts = Read(csv + "bad_rows_max = 2");
  EXPECT_EQ(parts.train->rows(), 2U);
  EXPECT_EQ(parts.bad_rows, 2U);
  ASSERT_EQ(parts.notes.size(), 2U);
  EXPECT_EQ(parts.notes[0],
            "left out: " + path + ":3: wanted a number in column \"x\", found \"abc\"");
}

TEST_F(ReadDataTest, DamagedFilesAreNamedAndNotReadAgain) {
  std::vector<uint8_t> packed = Gzipped(BytesOf(CountedCsv(0, 5000)));
  packed.resize(packed.size() / 2);
  const std::string path = folder_.Write("cut.csv.gz", packed);
  const Error error = ErrorOf("format = 'csv'\ntrain = '" + path + "'");
  EXPECT_EQ(error.code, ErrorCode::kBadUsage);
  EXPECT_EQ(error.message, path + ": the file is cut off: its gzip stream does not end");
  const Error package =
      ErrorOf("format = 'r_data'\ntrain = '/usr/lib/R/site-library/NoSuch/data/none.rda'");
  EXPECT_TRUE(package.message.ends_with("it comes with a package: apt-get install r-cran-nosuch"))
      << package.message;
  const Error missing = ErrorOf("format = 'csv'\ntrain = '/none.csv'");
  EXPECT_EQ(missing.code, ErrorCode::kUnavailable);
  EXPECT_EQ(missing.message, "/none.csv: No such file or directory (data.train)");
}

TEST_F(ReadDataTest, RowsBeyondItsMemoryNeedACache) {
  const std::string path = Csv("big.csv", 0, 20'000);
  const std::string csv = "format = 'csv'\nmemory = '64KiB'\ntrain = '" + path + "'\n";
  EXPECT_EQ(ErrorOf(csv).code, ErrorCode::kBadUsage);
  EXPECT_NE(ErrorOf(csv).message.find("name a folder in data.cache"), std::string::npos);
  const std::string cache = folder_.path() + "/cache";
  const std::string cached = csv + "cache = '" + cache + "'\nsplit = [0.5, 0.5]\n";
  const DataParts packed = Read(cached);
  EXPECT_EQ(packed.train->rows(), 10'000U);
  const DataParts plain = Read("format = 'csv'\ntrain = '" + path + "'\nsplit = [0.5, 0.5]");
  EXPECT_EQ(FirstNumbers(*packed.train), FirstNumbers(*plain.train));
  EXPECT_EQ(FirstNumbers(*packed.validate), FirstNumbers(*plain.validate));
}

uint64_t FilesIn(const std::string& folder) {
  uint64_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    files += entry.path().extension() == ".rows" ? 1 : 0;
  }
  return files;
}

TEST_F(ReadDataTest, CacheIsUsedUntilItsFilesChange) {
  const std::string path = Csv("big.csv", 0, 20'000);
  const std::string cache = folder_.path() + "/cache";
  const std::string csv =
      "format = 'csv'\nmemory = '64KiB'\ntrain = '" + path + "'\ncache = '" + cache + "'\n";
  Read(csv);
  ASSERT_EQ(FilesIn(cache), 1U);
  // The same size and time: the text is not looked at again.
  const auto time = std::filesystem::last_write_time(path);
  std::string text = CountedCsv(0, 20'000);
  text[text.size() - 2] = '9';
  folder_.WriteText("big.csv", text);
  std::filesystem::last_write_time(path, time);
  EXPECT_EQ(Read(csv).train->target().ids_end, 3U);
  // Another time: it is, and the old rows go.
  std::filesystem::last_write_time(path, time + std::chrono::seconds(1));
  EXPECT_EQ(Read(csv).train->target().ids_end, 10U);
  EXPECT_EQ(FilesIn(cache), 1U);
  // Other options: rows of their own.
  EXPECT_EQ(Read(csv + "features = 'x'").train->columns()[0].row_size(), 1U);
  EXPECT_EQ(FilesIn(cache), 2U);
}

TEST_F(ReadDataTest, BadRowsAreCountedWhetherTheTextIsReadOrTheCache) {
  const std::string path = folder_.WriteText("bad.csv", CountedCsv(0, 20'000) + "no row\n");
  const std::string csv = "format = 'csv'\nmemory = '64KiB'\nbad_rows_max = 3\ntrain = '" + path +
                          "'\ncache = '" + folder_.path() + "/cache'\n";
  EXPECT_EQ(Read(csv).bad_rows, 1U);
  EXPECT_EQ(FilesIn(folder_.path() + "/cache"), 1U);
  EXPECT_EQ(Read(csv).bad_rows, 1U);
}

TEST_F(ReadDataTest, DamagedRowsInTheCacheAreMadeAnew) {
  const std::string path = Csv("big.csv", 0, 20'000);
  const std::string cache = folder_.path() + "/cache";
  const std::string csv =
      "format = 'csv'\nmemory = '64KiB'\ntrain = '" + path + "'\ncache = '" + cache + "'\n";
  Read(csv);
  for (const auto& entry : std::filesystem::directory_iterator(cache)) {
    if (entry.path().extension() == ".rows") std::filesystem::resize_file(entry.path(), 100);
  }
  const DataParts parts = Read(csv);
  EXPECT_EQ(parts.train->rows(), 20'000U);
  ASSERT_FALSE(parts.notes.empty());
  EXPECT_NE(parts.notes[0].find("cut off; it is made anew"), std::string::npos);
}

TEST_F(ReadDataTest, WordsOfTrainingMeanTheSameInAllPartsAndInTheCache) {
  std::string text = "word,label\n";
  for (int i = 0; i < 20'000; ++i) text += "w" + std::to_string(i % 50) + ",0\n";
  const std::string train = folder_.WriteText("train.csv", text);
  const std::string test = folder_.WriteText("test.csv", "word,label\nw7,1\nnew,0\n");
  const std::string csv =
      "format = 'csv'\ncategories = ['word']\ntrain = '" + train + "'\ntest = '" + test + "'\n";
  const std::string cached = csv + "memory = '64KiB'\ncache = '" + folder_.path() + "/cache'\n";
  for (const std::string& lines : {csv, cached, cached}) {
    const DataParts parts = Read(lines);
    EXPECT_EQ(parts.test->column(0).ids[0], 8U);
    EXPECT_EQ(parts.test->column(0).ids[1], 0U);
    EXPECT_EQ(parts.test->columns()[0].ids_end, 51U);
    EXPECT_EQ(parts.train->columns()[0].words[8], "w7");
    EXPECT_EQ(parts.train->target().ids_end, 2U);
  }
}

TEST_F(ReadDataTest, TheSampleOfACsvOfOnesOwnIsWhatItSays) {
  const Result<Job> job = LoadJob("configs/fruit.toml", {});
  ASSERT_TRUE(job.ok()) << job.error().message;
  const JobOptions& options = job.value().options;
  const Result<DataParts> parts = ReadData(options.data, options.job.seed, nullptr);
  ASSERT_TRUE(parts.ok()) << parts.error().message;
  EXPECT_EQ(parts.value().train->rows() + parts.value().test->rows(), 600U);
  EXPECT_EQ(parts.value().train->columns()[0].row_size(), 3U);
  EXPECT_EQ(parts.value().train->target().words.size(), 3U);
}

TEST_F(ReadDataTest, StopsWhenToldTo) {
  const std::string path = Csv("big.csv", 0, 20'000);
  int asked = 0;
  const Result<DataParts> parts = ReadData(OptionsOf("format = 'csv'\ntrain = '" + path + "'"), 1,
                                           [&asked] { return ++asked > 3; });
  ASSERT_FALSE(parts.ok());
  EXPECT_EQ(parts.error().code, ErrorCode::kStopped);
}

TEST_F(ReadDataTest, ReadsFoldersOfIdxFiles) {
  const Result<DataParts> missing =
      ReadData(OptionsOf("folder = '" + folder_.path() + "'"), 1, nullptr);
  ASSERT_FALSE(missing.ok());
  EXPECT_EQ(missing.error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(missing.error().message,
            folder_.path() +
                "/train-images-idx3-ubyte.gz: there is no such file; the folder of the data set "
                "(data.folder) must hold it, with the ending .gz or without; Fashion-MNIST comes "
                "with a package, apt-get install dataset-fashion-mnist, and lies in "
                "/usr/share/datasets/fashion-mnist");
  for (const char* part : {"train", "t10k"}) {
    const uint8_t greatest = part == std::string("train") ? 4 : 200;
    folder_.Write(std::string(part) + "-images-idx3-ubyte",
                  Idx({2, 2, 1}, std::vector<uint8_t>{1, 2, 3, 4}));
    folder_.Write(std::string(part) + "-labels-idx1-ubyte",
                  Idx({2}, std::vector<uint8_t>{0, greatest}));
  }
  const DataParts parts = Read("folder = '" + folder_.path() + "'");
  EXPECT_EQ(parts.train->rows(), 2U);
  EXPECT_EQ(parts.train->target().ids_end, 201U);
  EXPECT_EQ(parts.train->target().greatest_at,
            folder_.path() + "/t10k-labels-idx1-ubyte, label 1, counted from 0");
}

TEST_F(ReadDataTest, FindsTheGreatestLabelInWhicheverPartItLies) {
  std::string rows = "a,label\n";
  for (int i = 0; i < 100; ++i) rows += "1," + std::string(i == 70 ? "bad" : "good") + "\n";
  const std::string train = folder_.WriteText("split.csv", rows);
  for (uint64_t seed = 1; seed <= 4; ++seed) {
    const DataParts parts = Read(
        "format = 'csv'\nlabel = 'label'\ncategories = 'label'\nsplit = [0.5, 0, 0.5]\ntrain = '" +
            train + "'",
        seed);
    EXPECT_EQ(parts.train->target().greatest_at, train + ":72") << seed;
  }
}

TEST_F(ReadDataTest, AFileWithoutRowsIsWrongHoweverOftenItIsRead) {
  const std::string train = folder_.WriteText("empty.csv", "a,label\n");
  const Error error = ErrorOf("format = 'csv'\nlabel = 'label'\ntrain = '" + train + "'");
  EXPECT_EQ(error.code, ErrorCode::kBadUsage) << error.message;
}

TEST_F(ReadDataTest, SaysWhyAPartHasNoRows) {
  const std::string two = "format = 'csv'\ntrain = '" + Csv("two.csv", 0, 2) + "'\n";
  EXPECT_THAT(
      ErrorOf(two + "split = [0.001, 0, 0.999]\n").message,
      testing::HasSubstr("no rows to train with: data.split deals all 2 rows to other parts"));
  EXPECT_THAT(
      ErrorOf(two + "split = [0.999, 0, 0.001]\n").message,
      testing::HasSubstr("no rows to test with: data.split deals all 2 rows to other parts"));
  const std::string none = Csv("none.csv", 0, 0);
  EXPECT_THAT(ErrorOf("format = 'csv'\ntrain = '" + none + "'\nsplit = [0.5, 0, 0.5]\n").message,
              testing::HasSubstr("no rows to train with: " + none + " has none"));
}

TEST_F(ReadDataTest, PartsMustHaveTheSameColumns) {
  folder_.Write("train-images-idx3-ubyte", Idx({1, 2, 1}, std::vector<uint8_t>{1, 2}));
  folder_.Write("t10k-images-idx3-ubyte", Idx({1, 1, 1}, std::vector<uint8_t>{1}));
  for (const char* part : {"train", "t10k"}) {
    folder_.Write(std::string(part) + "-labels-idx1-ubyte", Idx({1}, std::vector<uint8_t>{0}));
  }
  EXPECT_NE(ErrorOf("folder = '" + folder_.path() + "'").message.find("the same columns"),
            std::string::npos);
}

}  // namespace
}  // namespace shardmill
