#pragma once

#include <cstdint>
#include <span>

#include "common/update.h"

namespace shardmill {

// How several pushes become one, before they change anything.
enum class Combine : uint8_t { kWeightedSum, kSum, kLast, kMin, kMax };

constexpr Combine CombineOf(UpdateRule rule) {
  switch (rule) {
    case UpdateRule::kAdd:
      return Combine::kSum;
    case UpdateRule::kAssign:
      return Combine::kLast;
    case UpdateRule::kMin:
      return Combine::kMin;
    case UpdateRule::kMax:
      return Combine::kMax;
    default:
      return Combine::kWeightedSum;
  }
}

// What a push that is alone is multiplied by.
constexpr float ScaleOf(Combine combine, float weight) {
  return combine == Combine::kWeightedSum ? weight : 1;
}

// Adds one more push to `sum`; `first`: there is none in it yet. Of one size.
void CombineInto(Combine combine, bool first, float weight, std::span<const float> values,
                 std::span<float> sum);

}  // namespace shardmill
