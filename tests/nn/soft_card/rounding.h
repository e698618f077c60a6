#pragma once

#include <bit>
#include <cstdint>

namespace shardmill::soft {

// To so many bits of fraction, of 23; halves away from zero.
inline float RoundTo(int bits, float number) {
  const int dropped = 23 - bits;
  if (dropped == 0) return number;
  const uint32_t half = uint32_t{1} << (dropped - 1);
  return std::bit_cast<float>((std::bit_cast<uint32_t>(number) + half) & ~(2 * half - 1));
}

}  // namespace shardmill::soft
