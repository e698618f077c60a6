#include "nn/arena.h"

#include "common/assert.h"

namespace shardmill::nn {

Arena::~Arena() { Release(); }

void Arena::Release() {
  if (memory_ == nullptr) return;
  if (where_ == Where::kHost) {
    backend_.ReleaseHost(memory_);
  } else {
    backend_.Release(memory_);
  }
  memory_ = nullptr;
  room_ = 0;
}

bool Arena::Reserve(uint64_t floats) {
  if (floats <= room_) return true;
  Release();
  memory_ = where_ == Where::kHost ? backend_.AllocateHost(floats) : backend_.Allocate(floats);
  room_ = memory_ == nullptr ? 0 : floats;
  return memory_ != nullptr;
}

std::span<float> Arena::At(uint64_t offset, uint64_t floats) const {
  SM_ASSERT(offset <= room_ && floats <= room_ - offset);
  return {memory_ + offset, floats};
}

}  // namespace shardmill::nn
