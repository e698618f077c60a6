#include "common/assert.h"
#include "nn/ops/cpu/backend.h"

namespace shardmill::nn {
namespace {

// Mixes 32 bits so that near inputs give unrelated outputs, in whole vectors (the finalizer of
// MurmurHash3).
uint32_t MixPlace(uint32_t x) {
  x ^= x >> 16;
  x *= 0x85ebca6bU;
  x ^= x >> 13;
  x *= 0xc2b2ae35U;
  x ^= x >> 16;
  return x;
}

}  // namespace

void CpuBackend::Dropout(uint64_t chance, float rate, ConstTensor in, Tensor out) {
  SM_ASSERT(in.size() == out.size());
  SM_ASSERT(rate >= 0 && rate < 1);
  const float scale = 1.0F / (1.0F - rate);
  const auto dropped = static_cast<uint32_t>(static_cast<double>(rate) * 0x1.0p31);
  const auto low = static_cast<uint32_t>(chance);
  const auto high = static_cast<uint32_t>(chance >> 32);
  const float* const from = in.data();
  float* const to = out.data();
  for (uint64_t i = 0; i < in.size(); ++i) {
    const uint32_t number = MixPlace(MixPlace(static_cast<uint32_t>(i) ^ low) + high) >> 1;
    to[i] = number < dropped ? 0.0F : scale * from[i];
  }
}

}  // namespace shardmill::nn
