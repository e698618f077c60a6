#pragma once

#include <cstdint>

#include "nn/loss.h"

namespace shardmill::nn {

// How surprised the network is by the label of a row, when its outputs are read as the logarithms
// of odds, one a class. Owned by a Network. A label that is no class is an error. A row that holds
// a NaN or an infinity above gives a loss and gradients that are not finite, never a number that
// looks right.
class SoftmaxCrossEntropy final : public Loss {
 public:
  explicit SoftmaxCrossEntropy(uint64_t classes) : classes_(classes) {}

  bool ReadsLabels() const override { return true; }
  Result<> Check(const Targets& targets) const override;
  void Compute(Backend& backend, ConstTensor output, const Targets& targets, Tensor row_losses,
               Tensor gradient) const override;
  // Where the label's output is the first greatest.
  bool IsCorrect(std::span<const float> output, const Targets& targets,
                 uint64_t row) const override;

 private:
  const uint64_t classes_;
};

}  // namespace shardmill::nn
