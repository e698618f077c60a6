#include "common/finite.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace shardmill {
namespace {

// So many maxima side by side: one alone would wait for itself at each step.
constexpr size_t kLanes = 32;
// Between two looks at the maxima: 8 KiB.
constexpr size_t kBlock = 2048;
constexpr int32_t kInfinity = 0x7f800000;

// Of bits, these are ordered as integers: every number, then infinity, then every NaN.
int32_t Magnitude(float value) { return std::bit_cast<int32_t>(value) & 0x7fffffff; }

}  // namespace

bool AllNumbers(std::span<const float> values, bool infinite) {
  const int32_t last = infinite ? kInfinity : kInfinity - 1;
  for (; values.size() >= kBlock; values = values.subspan(kBlock)) {
    std::array<int32_t, kLanes> most{};
    for (size_t i = 0; i < kBlock; i += kLanes) {
      for (size_t lane = 0; lane < kLanes; ++lane) {
        most[lane] = std::max(most[lane], Magnitude(values[i + lane]));
      }
    }
    if (*std::ranges::max_element(most) > last) return false;
  }
  int32_t most = 0;
  for (const float value : values) most = std::max(most, Magnitude(value));
  return most <= last;
}

}  // namespace shardmill
