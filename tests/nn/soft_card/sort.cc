// CUB's functions.
#include <algorithm>
#include <cstring>
#include <cub/device/device_radix_sort.cuh>
#include <numeric>
#include <vector>

#include "tests/nn/soft_card/machine.h"

using shardmill::soft::CheckPlace;
using shardmill::soft::Machine;

namespace cub {

// By these bits of keys alone; what is alike stays in order.
cudaError_t DeviceRadixSort::SortPairs(void* work, size_t& work_bytes, const uint32_t* keys,
                                       uint32_t* sorted_keys, const uint32_t* values,
                                       uint32_t* sorted_values, uint64_t count, int begin_bit,
                                       int end_bit, cudaStream_t stream) {
  const size_t wanted = 4 * count * sizeof(uint32_t) + 1000;
  if (work == nullptr) {
    work_bytes = wanted;
    return cudaSuccess;
  }
  Machine& machine = Machine::Get();
  if (machine.lost() || machine.Fails()) return machine.Keep(cudaErrorLaunchOutOfResources);
  // Whatever failed before, CUB takes for a failure of its own.
  if (machine.last() != cudaSuccess) return machine.last();
  if (work_bytes < wanted || begin_bit < 0 || end_bit > 32 || begin_bit >= end_bit) {
    return machine.Keep(cudaErrorInvalidValue);
  }
  for (const void* const place :
       {static_cast<const void*>(work), static_cast<const void*>(keys),
        static_cast<const void*>(sorted_keys), static_cast<const void*>(values),
        static_cast<const void*>(sorted_values)}) {
    CheckPlace(place, "CUB is lent memory of the host");
  }
  const uint32_t mask = ~uint32_t{0} >> (32 - end_bit) & ~uint32_t{0} << begin_bit;
  return machine.Enqueue(stream, [=] {
    std::memset(work, 0x5a, wanted);
    std::vector<size_t> order(count);
    std::iota(order.begin(), order.end(), 0);
    std::ranges::stable_sort(order, {}, [=](size_t place) { return keys[place] & mask; });
    for (size_t i = 0; i < count; ++i) {
      sorted_keys[i] = keys[order[i]];
      sorted_values[i] = values[order[i]];
    }
  });
}

}  // namespace cub
