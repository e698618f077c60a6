#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "client/model.h"
#include "common/result.h"
#include "worker/data/sample_store.h"

namespace shardmill {

// Rows of one input of floats, all of one shape, with labels. A value: copies share the rows, which
// lie where their SampleStore has them. Any thread may read it once it is there.
struct DataSet {
  std::span<const float> inputs;  // rows * row_size, row after row.
  std::span<const uint32_t> labels;
  uint32_t rows = 0;
  uint32_t row_size = 0;
  std::vector<uint64_t> row_shape;                // Its extents multiply to row_size: {28, 28}.
  uint32_t classes = 0;                           // One more than the greatest label.
  std::string greatest_at = {};                   // The first place of the greatest label.
  std::shared_ptr<const SampleStore> store = {};  // Shared by all copies, which borrow from it.

  // Up to `rows_max` rows from `begin` on, in the order of the file and without a copy. Borrowed
  // from this data set.
  Batch Slice(uint32_t begin, uint32_t rows_max) const;
};

// The rows of a store that has one input, of floats, and labels. Others are kBadUsage.
Result<DataSet> LabelledRows(std::shared_ptr<const SampleStore> store);

// Rows made by a program. Each has row_shape's size.
DataSet MakeDataSet(const std::vector<float>& inputs, const std::vector<uint32_t>& labels,
                    std::vector<uint64_t> row_shape, uint32_t classes);

}  // namespace shardmill
