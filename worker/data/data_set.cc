#include "worker/data/data_set.h"

#include <algorithm>
#include <span>

#include "common/assert.h"

namespace shardmill {

Batch DataSet::Slice(uint32_t begin, uint32_t rows_max) const {
  SM_ASSERT(begin <= rows);
  const uint32_t count = std::min(rows_max, rows - begin);
  const uint64_t first = uint64_t{begin} * row_size;
  return {
      .inputs = std::span<const float>(inputs).subspan(first, uint64_t{count} * row_size),
      .labels = std::span<const uint32_t>(labels).subspan(begin, count),
      .rows = count,
      .row_size = row_size,
  };
}

}  // namespace shardmill
