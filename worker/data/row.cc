#include "worker/data/row.h"

namespace shardmill {

Row MakeRow(const Columns& columns) {
  Row row(columns.size());
  for (size_t i = 0; i < columns.size(); ++i) {
    const uint64_t size = columns[i].row_size();
    if (columns[i].kind == ColumnKind::kFloats) row[i].floats.resize(size);
    if (columns[i].kind == ColumnKind::kIds) row[i].ids.resize(size);
    if (columns[i].kind == ColumnKind::kKeys) row[i].keys.resize(size);
  }
  return row;
}

std::string RowPlace::ToString() const {
  if (entry == nullptr) return path + ":" + std::to_string(line);
  return path + ", " + entry + " " + std::to_string(line - 1) + ", counted from 0";
}

}  // namespace shardmill
