#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "worker/data/sample_store.h"

namespace shardmill {

// Rows made by a program: one input of numbers, each of row_shape's size, with labels.
std::shared_ptr<const SampleStore> MakeDataSet(const std::vector<float>& inputs,
                                               const std::vector<uint32_t>& labels,
                                               std::vector<uint64_t> row_shape, uint32_t classes);

}  // namespace shardmill
