#pragma once

#include <cstdint>
#include <span>

#include "nn/backend.h"

namespace shardmill::nn {

// The memory of one training step, in one block that only grows, so that a loop allocates nothing
// once it has met its largest batch. What lies where is a StepPlan's business. Owned by a network
// and used on its thread.
class Arena final {
 public:
  explicit Arena(Backend& backend) : backend_(backend) {}
  ~Arena();
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  // Room for that many floats, with whatever was there before; false where there is none.
  bool Reserve(uint64_t floats);

  std::span<float> At(uint64_t offset, uint64_t floats) const;

 private:
  Backend& backend_;
  float* memory_ = nullptr;
  uint64_t room_ = 0;
};

}  // namespace shardmill::nn
