#include "tests/worker/data/data_set.h"

#include <algorithm>
#include <utility>

#include "common/assert.h"
#include "worker/data/row_builder.h"

namespace shardmill {

std::shared_ptr<const SampleStore> MakeDataSet(const std::vector<float>& inputs,
                                               const std::vector<uint32_t>& labels,
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
  return builder.Finish("").value();
}

}  // namespace shardmill
