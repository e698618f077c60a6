#pragma once

#include <cstdint>

#include "nn/loss.h"

namespace shardmill::nn {

// How surprised the network is by the label of a row, when its outputs are read as the logarithms
// of odds, one a class. Owned by a Network; any thread. A label that is no class is an error.
class SoftmaxCrossEntropy final : public Loss {
 public:
  explicit SoftmaxCrossEntropy(uint64_t classes) : classes_(classes) {}

  Result<> CheckLabels(std::span<const uint32_t> labels) const override;
  LossSums Forward(ConstTensor output, std::span<const uint32_t> labels,
                   Tensor saved) const override;
  void Backward(std::span<const uint32_t> labels, Tensor saved) const override;

 private:
  const uint64_t classes_;
};

}  // namespace shardmill::nn
