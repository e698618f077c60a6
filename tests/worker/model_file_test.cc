#include "worker/model_file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "common/initial.h"
#include "worker/data/row_builder.h"
#include "worker/local_tables.h"

namespace shardmill {
namespace {

const std::vector<ParameterSpec> kSpecs{
    {.name = "bias", .size = 3, .initial = Initial::Uniform(1, 5)},
    {.name = "words", .initial = Initial::Uniform(1, 6), .dim = 2, .input = 0}};

// Rows with the keys 7, 30 and 7.
std::unique_ptr<SampleStore> Words() {
  const Columns columns = {{.name = "words", .kind = ColumnKind::kKeys}, {.name = "value"}};
  RowBudget budget;
  RowBuilder builder(columns, budget);
  Row row = MakeRow(columns);
  const std::string nowhere;
  for (const uint64_t key : {7, 30, 7}) {
    row[0].keys[0] = key;
    builder.Append(row, {nowhere, 1}).value();
  }
  return builder.Finish("").value();
}

// Whose words may have any bytes.
std::unique_ptr<SampleStore> OddWords() {
  const Columns columns = {{.name = "words", .kind = ColumnKind::kKeys}, {.name = "value"}};
  RowBudget budget;
  RowBuilder builder(columns, budget);
  builder.SetWords(0, {"", std::string("a\0b", 3), "3:red", "\xff"});
  const std::string nowhere;
  builder.Append(MakeRow(columns), {nowhere, 1}).value();
  return builder.Finish("").value();
}

std::string PathOf(const std::string& name) { return testing::TempDir() + name; }

std::vector<float> Copy(std::span<const float> values) { return {values.begin(), values.end()}; }

TEST(ModelFileTest, GivesBackWhatWasWrittenAndFirstValuesForNewKeys) {
  const auto train = Words();
  const auto tables = LocalTables::Make(kSpecs, {}).value();
  const std::vector<uint64_t> keys{30, 7};
  const ColumnView input{.keys = keys};
  const Batch batch{.inputs = {&input, 1}, .rows = 2};
  ASSERT_TRUE(tables->For(batch).ok());
  for (const std::span<float> gradient : tables->gradients()) gradient[0] = 4;
  tables->Step(1);
  const std::string path = PathOf("model.safetensors");
  const Result<> written = WriteModelFile(path, kSpecs, *train, *tables, {{"step", "1"}});
  ASSERT_TRUE(written.ok()) << written.error().message;
  const auto file = ModelFile::Open(path, kSpecs);
  ASSERT_TRUE(file.ok()) << file.error().message;
  const std::vector<uint64_t> asked{99, 30, 7};
  EXPECT_EQ(Copy(file.value()->Rows(1, asked).value()), Copy(tables->Rows(1, asked).value()));
  EXPECT_EQ(Copy(file.value()->Dense(0).value()), Copy(tables->Dense(0).value()));
  const ColumnView again{.keys = asked};
  const Batch other{.inputs = {&again, 1}, .rows = 3};
  EXPECT_EQ(file.value()->For(other).value()[1].size(), 6U);
}

TEST(ModelFileTest, GivesBackWordsOfAnyBytesAndTheNetwork) {
  const auto train = OddWords();
  const auto tables = LocalTables::Make(kSpecs, {}).value();
  const std::string path = PathOf("odd.safetensors");
  const std::pair<std::string, std::string> loss{"model.loss", "\"l1\""};
  ASSERT_TRUE(WriteModelFile(path, kSpecs, *train, *tables, {loss}).ok());
  const TrainedWith with = ReadTrainedWith(path).value();
  EXPECT_EQ(with.columns[0].words, train->columns()[0].words);
  EXPECT_EQ(with.network, (JobKeyList{{"model.loss", "\"l1\""}}));
}

TEST(ModelFileTest, WritesIntoAPipeAndLeavesItThere) {
  const auto train = Words();
  const auto tables = LocalTables::Make(kSpecs, {}).value();
  const std::string whole = PathOf("whole.safetensors");
  ASSERT_TRUE(WriteModelFile(whole, kSpecs, *train, *tables, {}).ok());
  const std::string pipe = PathOf("pipe");
  std::filesystem::remove(pipe);
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  // A reader, without which the writer would wait.
  const int end = open(pipe.c_str(), O_RDWR | O_NONBLOCK);
  ASSERT_GE(end, 0);
  EXPECT_TRUE(WriteModelFile(pipe, kSpecs, *train, *tables, {}).ok());
  EXPECT_TRUE(std::filesystem::is_fifo(pipe));
  std::string text(std::filesystem::file_size(whole) + 1, '\0');
  EXPECT_EQ(read(end, text.data(), text.size()), static_cast<ssize_t>(text.size()) - 1);
  close(end);
  TrainOptions options;
  options.model = pipe;
  EXPECT_TRUE(CheckModelPlace(options).ok());
  options.best = "loss";
  EXPECT_EQ(CheckModelPlace(options).error().code, ErrorCode::kBadUsage);
}

TEST(ModelFileTest, RefusesAFileOfAnotherNetwork) {
  const auto train = Words();
  const auto tables = LocalTables::Make(kSpecs, {}).value();
  const std::string path = PathOf("other.safetensors");
  ASSERT_TRUE(WriteModelFile(path, kSpecs, *train, *tables, {}).ok());
  std::vector<ParameterSpec> larger = kSpecs;
  larger[0].size = 4;
  EXPECT_EQ(ModelFile::Open(path, larger).error().message,
            path + ": \"bias\" is 3, and the network wants 4");
  std::vector<ParameterSpec> shaped = kSpecs;
  shaped[0].shape = {3, 1};
  EXPECT_TRUE(ModelFile::Open(path, shaped).ok());  // One axis says nothing of others.
  const std::string wide = PathOf("wide.safetensors");
  ASSERT_TRUE(WriteModelFile(wide, shaped, *train, *tables, {}).ok());
  shaped[0].shape = {1, 3};
  EXPECT_EQ(ModelFile::Open(wide, shaped).error().message,
            wide + ": \"bias\" is 3x1, and the network wants 1x3");
  std::vector<ParameterSpec> renamed = kSpecs;
  renamed[0].name = "offset";
  EXPECT_EQ(ModelFile::Open(path, renamed).error().message,
            path + ": there is no \"offset\" in it: it was made of another network");
  EXPECT_FALSE(ModelFile::Open(PathOf("none.safetensors"), kSpecs).ok());
  std::ofstream(PathOf("bad.safetensors")) << "not tensors at all";
  EXPECT_EQ(ModelFile::Open(PathOf("bad.safetensors"), kSpecs).error().code, ErrorCode::kBadInput);
}

}  // namespace
}  // namespace shardmill
