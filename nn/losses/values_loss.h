#pragma once

#include <cstdint>

#include "nn/loss.h"

namespace shardmill::nn {

// The losses that read a number for each number of the output and take the mean over them: log loss
// of outputs that are the logarithms of odds, absolute and squared differences. Owned by a Network.
// A target of the log loss that is no share of 1 is an error.
class ValuesLoss final : public Loss {
 public:
  enum class Kind : uint8_t { kLog, kAbsolute, kSquared };

  explicit ValuesLoss(Kind kind) : kind_(kind) {}

  bool ReadsLabels() const override { return false; }
  Result<> Check(const Targets& targets) const override;
  void Compute(Backend& backend, ConstTensor output, const Targets& targets, Tensor row_losses,
               Tensor gradient) const override;
  // With log loss, where each output is on the target's side of even odds.
  bool IsCorrect(std::span<const float> output, const Targets& targets,
                 uint64_t row) const override;

 private:
  const Kind kind_;
};

}  // namespace shardmill::nn
