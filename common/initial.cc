#include "common/initial.h"

#include <algorithm>

#include "common/rng.h"

namespace shardmill {

void FillInitial(const Initial& initial, uint64_t begin, std::span<float> values) {
  if (initial.scale == 0) {
    std::ranges::fill(values, 0.0F);
    return;
  }
  const double scale = initial.scale;
  for (uint64_t i = 0; i < values.size(); ++i) {
    Rng rng(Mix(initial.seed ^ Mix(begin + i)));
    values[i] = static_cast<float>(scale * (2 * rng.Uniform() - 1));
  }
}

}  // namespace shardmill
