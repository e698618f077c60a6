#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "common/result.h"
#include "worker/data/row_file.h"
#include "worker/data/sample_store.h"

namespace shardmill {

// The memory that the rows of all parts of a data set may take together. Owned by whoever reads
// them; one thread.
struct RowBudget {
  uint64_t bytes_max = 0;
  uint64_t bytes = 0;

  bool spent() const { return bytes > bytes_max; }
};

// Takes rows one by one and makes a SampleStore of them: in memory, or from Spill on in a file. It
// counts what it holds against the budget, and leaves what to do about it to its owner. One thread.
// Only the disk can fail it.
class RowBuilder final {
 public:
  RowBuilder(Columns columns, RowBudget& budget);

  uint64_t rows() const { return rows_; }
  const Columns& columns() const { return columns_; }
  bool spilled() const { return file_ != nullptr; }

  // `place` is asked for where the row's class is the greatest so far.
  Result<> Append(const Row& row, const RowPlace& place);

  // What the ids of a column stand for.
  void SetWords(size_t column, std::vector<std::string> words);

  // Some of the rows have no target, and zeros in its place.
  void MissTarget() { columns_.back().missing = true; }

  // Moves all rows to this file, and those that come later.
  Result<> Spill(const std::string& path);

  // The rows; `made_of` is for a file (see RowFileWriter), `bad_rows` the data set's. The builder
  // is empty then.
  Result<std::unique_ptr<SampleStore>> Finish(const std::string& made_of, uint64_t bad_rows = 0);

 private:
  // What has come of an array: whole segments, and one that is being filled.
  struct Array {
    std::vector<std::vector<std::byte>> segments;
    uint64_t bytes = 0;
  };

  Result<> AppendBytes(size_t array, const void* bytes, uint64_t count);
  Result<> WriteOut(size_t array);
  void Note(size_t column, const Cell& cell, const RowPlace& place);

  Columns columns_;
  RowBudget& budget_;
  std::vector<Array> arrays_;
  std::vector<uint64_t> sparse_ends_;  // Of each column, so far.
  uint64_t rows_ = 0;
  std::string path_;
  std::unique_ptr<RowFileWriter> file_;
};

}  // namespace shardmill
