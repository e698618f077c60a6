#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"
#include "worker/data/line_source.h"
#include "worker/data/row.h"

namespace shardmill {

// Where readers bring their rows. Owned by whoever reads, on its thread. An error ends the reading.
class RowSink {
 public:
  virtual ~RowSink() = default;

  // Before any row, once for each file that is read: the same columns each time.
  virtual Result<> Begin(const Columns& columns) = 0;
  virtual Result<> Take(const Row& row, const RowPlace& place) = 0;
  // A row that cannot be read, and what was wanted of it.
  virtual Result<> TakeBad(const RowPlace& place, const std::string& words) = 0;
};

// Counts rows that could not be read and keeps words on the first of them. A value; one thread.
class BadRows final {
 public:
  explicit BadRows(uint64_t rows_max) : rows_max_(rows_max) {}

  // An error, with the words, where they are too many.
  Result<> Add(const RowPlace& place, const std::string& words);

  uint64_t count() const { return count_; }
  const std::vector<std::string>& words() const { return words_; }

 private:
  uint64_t rows_max_;
  uint64_t count_ = 0;
  std::vector<std::string> words_;
};

// Makes rows of lines, each by itself: a function of the line but for the words it has learnt.
// Owned by a reader, on its thread. What is wrong with a line is an outcome.
class LineParser {
 public:
  virtual ~LineParser() = default;

  virtual const Columns& columns() const = 0;
  // Fills the row, made for the columns; or says what was wanted, and the row is unspecified.
  virtual bool Parse(std::string_view line, Row& row, std::string& words) = 0;
};

// Reads all lines that are not empty.
Result<> ReadLines(LineSource& lines, LineParser& parser, RowSink& sink);

// All of the text as a number, finite as a float too.
bool ParseNumber(std::string_view text, float& number);
// All of the text as a whole number.
bool ParseWhole(std::string_view text, uint32_t& number);

}  // namespace shardmill
