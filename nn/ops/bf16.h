#pragma once

#include <bit>
#include <cstdint>

// Floats of 16 bits: the upper half of one of 32, rounded to the nearest, and of two as near to the
// even one. What is no number stays none.
namespace shardmill::nn {

constexpr uint16_t ToBf16(float number) {
  const auto bits = std::bit_cast<uint32_t>(number);
  if ((bits & 0x7fffffffU) > 0x7f800000U) return static_cast<uint16_t>(bits >> 16 | 0x40U);
  return static_cast<uint16_t>((bits + 0x7fffU + (bits >> 16 & 1U)) >> 16);
}

constexpr float FromBf16(uint16_t half) {
  return std::bit_cast<float>(static_cast<uint32_t>(half) << 16);
}

// Two in the place of a float, the first one lower.
constexpr float PairOfBf16(float first, float second) {
  return std::bit_cast<float>(static_cast<uint32_t>(ToBf16(second)) << 16 | ToBf16(first));
}
constexpr float FirstOf(float pair) {
  return FromBf16(static_cast<uint16_t>(std::bit_cast<uint32_t>(pair)));
}
constexpr float SecondOf(float pair) {
  return FromBf16(static_cast<uint16_t>(std::bit_cast<uint32_t>(pair) >> 16));
}

}  // namespace shardmill::nn
