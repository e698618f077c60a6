#include "worker/data/sample_store.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/worker/data/files.h"
#include "worker/data/row_builder.h"
#include "worker/data/row_file.h"

namespace shardmill {
namespace {

Columns AllKinds() {
  return {{.name = "numbers", .row_shape = {2, 3}},
          {.name = "ids", .kind = ColumnKind::kIds, .row_shape = {2}},
          {.name = "keys", .kind = ColumnKind::kKeys},
          {.name = "words", .kind = ColumnKind::kSparse},
          {.name = "label", .kind = ColumnKind::kIds}};
}

Row RowOf(uint32_t number) {
  Row row = MakeRow(AllKinds());
  for (size_t i = 0; i < 6; ++i) row[0].floats[i] = static_cast<float>(number) + 0.5F;
  row[1].ids = {number, number + 1};
  row[2].keys = {uint64_t{number} << 40};
  for (uint32_t i = 0; i < number % 4; ++i) {
    row[3].ids.push_back(number + i);
    row[3].floats.push_back(static_cast<float>(i));
  }
  row[4].ids = {number % 10};
  return row;
}

std::unique_ptr<RowBuilder> Fill(RowBudget& budget, uint32_t rows) {
  auto builder = std::make_unique<RowBuilder>(AllKinds(), budget);
  const std::string path = "f";
  for (uint32_t i = 0; i < rows; ++i) EXPECT_TRUE(builder->Append(RowOf(i), {path, i + 1}).ok());
  return builder;
}

void ExpectRows(const SampleStore& store, uint32_t rows) {
  ASSERT_EQ(store.rows(), rows);
  std::vector<uint32_t> numbers{rows - 1, 0, rows / 2, 3, 3};
  GatheredRows gathered;
  store.Gather(numbers, gathered);
  ASSERT_EQ(gathered.rows, numbers.size());
  uint64_t begin = 0;
  for (size_t i = 0; i < numbers.size(); ++i) {
    const Row row = RowOf(numbers[i]);
    EXPECT_EQ(gathered.columns[0].floats[i * 6 + 5], row[0].floats[5]);
    EXPECT_EQ(gathered.columns[1].ids[i * 2 + 1], row[1].ids[1]);
    EXPECT_EQ(gathered.columns[2].keys[i], row[2].keys[0]);
    EXPECT_EQ(gathered.columns[4].ids[i], row[4].ids[0]);
    const uint64_t end = gathered.columns[3].ends[i];
    ASSERT_EQ(end - begin, row[3].ids.size());
    for (uint64_t at = begin; at < end; ++at) {
      EXPECT_EQ(gathered.columns[3].ids[at], row[3].ids[at - begin]);
      EXPECT_EQ(gathered.columns[3].floats[at], row[3].floats[at - begin]);
    }
    begin = end;
  }
  EXPECT_EQ(gathered.columns[0].floats.size(), numbers.size() * 6);
}

TEST(SampleStoreTest, GathersRowsOfAllKindsFromMemory) {
  RowBudget budget;
  const auto builder = Fill(budget, 1000);
  EXPECT_EQ(budget.bytes, 1000U * (24 + 8 + 8 + 8 + 4) + 1500 * 8);
  const auto store = builder->Finish("").value();
  ExpectRows(*store, 1000);
  EXPECT_EQ(store->columns()[1].ids_end, 1001U);
  EXPECT_EQ(store->target().ids_end, 10U);
  EXPECT_EQ(store->target().greatest_at, "f:10");
}

TEST(SampleStoreTest, GathersTheSameRowsFromAFile) {
  const TestFolder folder;
  const std::string path = folder.path() + "/rows";
  constexpr uint32_t kRows = 700'000;  // More than a segment of the widest column.
  RowBudget budget;
  const auto builder = Fill(budget, 5);
  ASSERT_TRUE(builder->Spill(path).ok());
  EXPECT_EQ(budget.bytes, 0U);
  const std::string place = "f";
  for (uint32_t i = 5; i < kRows; ++i) {
    ASSERT_TRUE(builder->Append(RowOf(i), {place, i + 1}).ok());
  }
  builder->SetWords(1, {"", "caf\xe9", "two\nlines"});
  EXPECT_FALSE(std::filesystem::exists(path));
  ExpectRows(*builder->Finish("made of this").value(), kRows);
  EXPECT_GT(std::filesystem::file_size(path), uint64_t{kRows} * 52);

  const auto again = OpenRowFile(path, "made of this", true);
  ASSERT_TRUE(again.ok()) << again.error().message;
  ExpectRows(*again.value(), kRows);
  const Columns& columns = again.value()->columns();
  EXPECT_EQ(columns[0].row_shape, (std::vector<uint64_t>{2, 3}));
  EXPECT_EQ(columns[1].words, (std::vector<std::string>{"", "caf\xe9", "two\nlines"}));
  EXPECT_EQ(columns[4].greatest_at, "f:10");
  EXPECT_EQ(OpenRowFile(path, "other", true).error().code, ErrorCode::kBadInput);
}

TEST(SampleStoreTest, NoticesAnyByteOfAFileThatIsNotAsItWas) {
  const TestFolder folder;
  const std::string path = folder.path() + "/rows";
  RowBudget budget;
  const auto builder = Fill(budget, 6);
  ASSERT_TRUE(builder->Spill(path).ok());
  ASSERT_TRUE(builder->Finish("m").ok());
  std::ifstream file(path, std::ios::binary);
  const std::vector<uint8_t> good{std::istreambuf_iterator<char>(file), {}};
  ASSERT_TRUE(OpenRowFile(path, "m", true).ok());
  // Between the segments are zeros that nobody reads. The file's last words are 32 bytes.
  for (size_t place = 4096; place < good.size(); ++place) {
    const bool padding = place < good.size() - 32 && good[place] == 0;
    if (padding) continue;
    std::vector<uint8_t> changed = good;
    changed[place] ^= 0x20;
    const auto opened = OpenRowFile(folder.Write("changed", changed), "m", true);
    EXPECT_FALSE(opened.ok()) << place;
  }
  for (size_t size = 0; size < good.size(); size += 97) {
    const auto cut = OpenRowFile(folder.Write("cut", std::span(good).first(size)), "m", true);
    ASSERT_FALSE(cut.ok()) << size;
    EXPECT_EQ(cut.error().code, ErrorCode::kBadInput);
  }
  EXPECT_EQ(OpenRowFile(folder.path() + "/none", "m", true).error().code, ErrorCode::kUnavailable);
}

TEST(SampleStoreTest, LeavesNothingBehindOfAFileThatWasNotFinished) {
  const TestFolder folder;
  RowBudget budget;
  auto builder = Fill(budget, 20);
  ASSERT_TRUE(builder->Spill(folder.path() + "/rows").ok());
  EXPECT_FALSE(std::filesystem::is_empty(folder.path()));
  builder.reset();
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

}  // namespace
}  // namespace shardmill
