#pragma once

#include <cstdint>

// What is random, as the backends of all devices must find it alike.
namespace shardmill::nn {

// Mixes 32 bits so that near inputs give unrelated outputs, in whole vectors (the finalizer of
// MurmurHash3).
constexpr uint32_t MixPlace(uint32_t x) {
  x ^= x >> 16;
  x *= 0x85ebca6bU;
  x ^= x >> 13;
  x *= 0xc2b2ae35U;
  x ^= x >> 16;
  return x;
}

// Which of the numbers of a tensor dropout sets to zero.
class Dropped final {
 public:
  constexpr Dropped(uint64_t chance, float rate)
      : low_(static_cast<uint32_t>(chance)),
        high_(static_cast<uint32_t>(chance >> 32)),
        below_(static_cast<uint32_t>(static_cast<double>(rate) * 0x1.0p31)) {}

  constexpr bool Has(uint64_t place) const {
    return MixPlace(MixPlace(static_cast<uint32_t>(place) ^ low_) + high_) >> 1 < below_;
  }

 private:
  uint32_t low_;
  uint32_t high_;
  uint32_t below_;
};

}  // namespace shardmill::nn
