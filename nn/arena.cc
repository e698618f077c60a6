#include "nn/arena.h"

#include <cstddef>

#include "common/assert.h"

namespace shardmill::nn {
namespace {

constexpr uint64_t kLineFloats = 64 / sizeof(float);

}  // namespace

uint64_t Arena::Rounded(uint64_t floats) {
  return (floats + kLineFloats - 1) / kLineFloats * kLineFloats;
}

void Arena::Reset(uint64_t floats_rounded) {
  used_ = 0;
  if (floats_rounded <= room_) return;
  room_ = floats_rounded;
  memory_.resize(room_ + kLineFloats);
  const uint64_t address = reinterpret_cast<uintptr_t>(memory_.data()) / sizeof(float);
  begin_ = (kLineFloats - address % kLineFloats) % kLineFloats;
}

std::span<float> Arena::Take(uint64_t floats) {
  const uint64_t rounded = Rounded(floats);
  SM_ASSERT(rounded <= room_ - used_);
  const std::span<float> piece(memory_.data() + begin_ + used_, floats);
  used_ += rounded;
  return piece;
}

}  // namespace shardmill::nn
