#pragma once

#include <cstdint>
#include <string_view>

#include "common/assert.h"

namespace shardmill {

// Mixes 64 bits so that near inputs give unrelated outputs (the finalizer of SplitMix64).
constexpr uint64_t Mix(uint64_t x) {
  x += 0x9e3779b97f4a7c15ULL;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

// A text as a number.
constexpr uint64_t MixText(std::string_view text) {
  uint64_t mixed = text.size();
  for (const char letter : text) mixed = Mix(mixed ^ static_cast<unsigned char>(letter));
  return mixed;
}

// A seeded source of chance (SplitMix64). The same seed gives the same numbers on every machine.
// A value; one thread.
class Rng final {
 public:
  explicit constexpr Rng(uint64_t seed) : state_(seed) {}

  constexpr uint64_t Next() {
    const uint64_t out = Mix(state_);
    state_ += 0x9e3779b97f4a7c15ULL;
    return out;
  }
  // Uniform in [0, bound); bound > 0.
  constexpr uint64_t Below(uint64_t bound) {
    SM_ASSERT(bound > 0);
    return static_cast<uint64_t>((static_cast<Wide>(Next()) * bound) >> 64);
  }
  // Uniform in [0, 1).
  constexpr double Uniform() { return static_cast<double>(Next() >> 11) * 0x1.0p-53; }
  constexpr bool Chance(double probability) { return Uniform() < probability; }

 private:
  __extension__ typedef unsigned __int128 Wide;

  uint64_t state_;
};

}  // namespace shardmill
