#pragma once

// As much of CUB as nn/ops/cuda uses.

#include <cuda_runtime.h>

namespace cub {

struct DeviceRadixSort {
  static cudaError_t SortPairs(void* work, size_t& work_bytes, const uint32_t* keys,
                               uint32_t* sorted_keys, const uint32_t* values,
                               uint32_t* sorted_values, uint64_t count, int begin_bit, int end_bit,
                               cudaStream_t stream);
};

}  // namespace cub
