#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace shardmill {

// What each row has in a column.
enum class ColumnKind : uint8_t {
  kFloats,  // So many numbers.
  kIds,     // So many ids below a bound.
  kKeys,    // So many keys of 64 bits, for sparse tables.
  kSparse,  // Any number of ids, which ascend, each with a number.
};

// A column of rows, and what its values mean. A network knows it as an input or as its target.
struct Column {
  std::string name;
  ColumnKind kind = ColumnKind::kFloats;
  std::vector<uint64_t> row_shape = {1};  // {28, 28}. Of kSparse it means nothing.
  uint64_t ids_end = 0;                   // Above every id.
  std::vector<std::string> words = {};    // What ids stand for, where they stand for words.
  std::string greatest_at = {};           // The first place of the greatest id or class.
  bool missing = false;                   // Of a target: some file of the part has no such column.
  std::vector<std::string> fields = {};   // Of numbers that are columns of a table: their names.

  uint64_t row_size() const {
    uint64_t size = 1;
    for (const uint64_t extent : row_shape) size *= extent;
    return size;
  }
};

// What all rows of a data set have: inputs, and last of all the target, which is one id (a class)
// or numbers.
using Columns = std::vector<Column>;

inline constexpr char kOnlyInput[] = "input";  // The name of an input that has none beside it.

// One row of a column; only the fields of the column's kind are read.
struct Cell {
  std::vector<float> floats;
  std::vector<uint32_t> ids;
  std::vector<uint64_t> keys;
};

// One row, on its way from a reader to where it is kept: a cell for each column.
using Row = std::vector<Cell>;

inline constexpr uint64_t kRowsMax = UINT32_MAX;   // Their numbers have 32 bits.
inline constexpr uint32_t kClassesMax = 1U << 24;  // A float tells them apart.

// Cells of the right sizes, all zeros.
Row MakeRow(const Columns& columns);

// Where a row stands in a file, in words that a person finds it by.
struct RowPlace {
  const std::string& path;
  uint64_t line = 0;            // Or the row of a table that has no lines; from 1.
  const char* entry = nullptr;  // What the file's entries are called, where they are no lines.

  std::string ToString() const;
};

}  // namespace shardmill
