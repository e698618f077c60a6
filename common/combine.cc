#include "common/combine.h"

#include <algorithm>
#include <cstddef>

#include "common/assert.h"

namespace shardmill {

void CombineInto(Combine combine, bool first, float weight, std::span<const float> values,
                 std::span<float> sum) {
  SM_ASSERT(values.size() == sum.size());
  const size_t size = sum.size();
  const float* from = values.data();
  float* to = sum.data();
  if (combine == Combine::kWeightedSum) {
    if (first) {
      for (size_t i = 0; i < size; ++i) to[i] = weight * from[i];
    } else {
      for (size_t i = 0; i < size; ++i) to[i] += weight * from[i];
    }
  } else if (first || combine == Combine::kLast) {
    std::copy_n(from, size, to);
  } else if (combine == Combine::kSum) {
    for (size_t i = 0; i < size; ++i) to[i] += from[i];
  } else if (combine == Combine::kMin) {
    for (size_t i = 0; i < size; ++i) to[i] = std::min(to[i], from[i]);
  } else {
    for (size_t i = 0; i < size; ++i) to[i] = std::max(to[i], from[i]);
  }
}

}  // namespace shardmill
