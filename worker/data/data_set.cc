#include "worker/data/data_set.h"

#include <algorithm>
#include <utility>

#include "common/assert.h"
#include "worker/data/row_builder.h"

namespace shardmill {

Batch DataSet::Slice(uint32_t begin, uint32_t rows_max) const {
  SM_ASSERT(begin <= rows);
  const uint32_t count = std::min(rows_max, rows - begin);
  const uint64_t first = uint64_t{begin} * row_size;
  return {
      .inputs = inputs.subspan(first, uint64_t{count} * row_size),
      .labels = labels.subspan(begin, count),
      .rows = count,
      .row_size = row_size,
  };
}

Result<DataSet> LabelledRows(std::shared_ptr<const SampleStore> store) {
  const Columns& columns = store->columns();
  const Column& input = columns.front();
  const Column& label = columns.back();
  if (columns.size() != 2 || input.kind != ColumnKind::kFloats || label.kind != ColumnKind::kIds) {
    std::string names;
    for (const Column& column : columns) names += " \"" + column.name + "\"";
    return Error{ErrorCode::kBadUsage,
                 "the network takes one input of numbers and classes as its labels, and the data "
                 "have the columns" +
                     names};
  }
  DataSet data;
  data.inputs = store->column(0).floats;
  data.labels = store->column(1).ids;
  data.rows = static_cast<uint32_t>(store->rows());
  data.row_size = static_cast<uint32_t>(input.row_size());
  data.row_shape = input.row_shape;
  data.classes = static_cast<uint32_t>(label.ids_end);
  data.greatest_at = label.greatest_at;
  data.store = std::move(store);
  return data;
}

DataSet MakeDataSet(const std::vector<float>& inputs, const std::vector<uint32_t>& labels,
                    std::vector<uint64_t> row_shape, uint32_t classes) {
  const Columns columns = {{.name = kOnlyInput, .row_shape = std::move(row_shape)},
                           {.name = "label", .kind = ColumnKind::kIds, .ids_end = classes}};
  const uint64_t row_size = columns[0].row_size();
  SM_ASSERT(inputs.size() == labels.size() * row_size);
  RowBudget budget;
  RowBuilder builder(columns, budget);
  Row row = MakeRow(columns);
  const std::string nowhere;
  for (size_t i = 0; i < labels.size(); ++i) {
    std::copy_n(inputs.data() + i * row_size, row_size, row[0].floats.begin());
    row[1].ids[0] = labels[i];
    builder.Append(row, {nowhere, i + 1}).value();
  }
  std::unique_ptr<SampleStore> store = builder.Finish("").value();
  return LabelledRows(std::move(store)).value();
}

}  // namespace shardmill
