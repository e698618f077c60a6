#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "client/model.h"

namespace shardmill {

// Labelled rows in memory, all of one shape. A value; whoever read it owns it, and any thread may
// read it once it is there.
struct DataSet {
  std::vector<float> inputs;  // rows * row_size, row after row.
  std::vector<uint32_t> labels;
  uint32_t rows = 0;
  uint32_t row_size = 0;
  std::vector<uint64_t> row_shape;  // Its extents multiply to row_size: {28, 28}.
  uint32_t classes = 0;             // One more than the greatest label.
  std::string greatest_at = {};     // The first place of the greatest label: file and entry.

  // Up to `rows_max` rows from `begin` on, in the order of the file and without a copy. Borrowed
  // from this data set.
  Batch Slice(uint32_t begin, uint32_t rows_max) const;
};

}  // namespace shardmill
