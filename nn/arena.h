#pragma once

#include <cstdint>
#include <span>

#include "nn/backend.h"

namespace shardmill::nn {

// Floats that so many bytes take in whole cache lines, so that what comes behind begins one.
constexpr uint64_t InLines(uint64_t bytes) {
  constexpr uint64_t kLine = 64;
  return (bytes + kLine - 1) / kLine * (kLine / sizeof(float));
}

// Memory that a training step needs, in one block that only grows, so that a loop allocates nothing
// once it has met its largest batch. What lies where is its owner's business, as a StepPlan. Owned
// by a network and used on its thread.
class Arena final {
 public:
  enum class Where : uint8_t { kDevice, kHost };

  explicit Arena(Backend& backend, Where where = Where::kDevice)
      : backend_(backend), where_(where) {}
  ~Arena();
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  void Release();

  // Room for that many floats, with whatever was there before; false where there is none.
  bool Reserve(uint64_t floats);

  uint64_t room() const { return room_; }
  std::span<float> At(uint64_t offset, uint64_t floats) const;

 private:
  Backend& backend_;
  const Where where_;
  float* memory_ = nullptr;
  uint64_t room_ = 0;
};

}  // namespace shardmill::nn
