#include "tests/fuzz/checked_rows.h"

#include <algorithm>
#include <cmath>
#include <functional>

#include "tests/fuzz/input.h"

namespace shardmill::fuzz {
namespace {

// Among all other rows; then the reading ends, as for a job that bears so many.
constexpr uint64_t kBadRowsMax = 100;

void CheckCell(const Cell& cell, const Column& column) {
  switch (column.kind) {
    case ColumnKind::kFloats:
      Check(cell.floats.size() == column.row_size(), "a cell has its numbers");
      break;
    case ColumnKind::kIds:
      Check(cell.ids.size() == column.row_size(), "a cell has its ids");
      break;
    case ColumnKind::kKeys:
      Check(cell.keys.size() == column.row_size(), "a cell has its keys");
      break;
    case ColumnKind::kSparse:
      Check(cell.ids.size() == cell.floats.size(), "each id has a number");
      Check(std::ranges::is_sorted(cell.ids, std::less_equal<>()), "ids ascend");
      break;
  }
  if (column.kind != ColumnKind::kFloats && column.kind != ColumnKind::kSparse) return;
  Check(std::ranges::all_of(cell.floats, [](float x) { return std::isfinite(x); }),
        "numbers are finite");
}

}  // namespace

Result<> CheckedRows::Begin(const Columns& columns) {
  Check(!columns.empty(), "there is a column");
  columns_ = columns;
  return {};
}

Result<> CheckedRows::Take(const Row& row, const RowPlace& /*place*/) {
  Check(row.size() == columns_.size(), "a row has a cell for each column");
  for (size_t i = 0; i < row.size(); ++i) CheckCell(row[i], columns_[i]);
  return {};
}

Result<> CheckedRows::TakeBad(const RowPlace& place, const std::string& words) {
  Check(!words.empty(), "who refuses a row says why");
  if (++bad_ <= kBadRowsMax) return {};
  return Error{ErrorCode::kBadInput, place.path + ": " + words};
}

}  // namespace shardmill::fuzz
