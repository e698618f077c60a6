#include "nn/losses/softmax_cross_entropy.h"

#include <string>

#include "nn/ops/cpu/softmax_cross_entropy.h"

namespace shardmill::nn {

Result<> SoftmaxCrossEntropy::CheckLabels(std::span<const uint32_t> labels) const {
  for (size_t row = 0; row < labels.size(); ++row) {
    if (labels[row] < classes_) continue;
    return Error{ErrorCode::kBadInput,
                 "row " + std::to_string(row) + " of the batch has the label " +
                     std::to_string(labels[row]) + ", but the network tells " +
                     std::to_string(classes_) + " classes apart, counted from 0"};
  }
  return {};
}

LossSums SoftmaxCrossEntropy::Forward(ConstTensor output, std::span<const uint32_t> labels,
                                      Tensor saved) const {
  return cpu::SoftmaxCrossEntropyForward(output, labels, saved);
}

void SoftmaxCrossEntropy::Backward(std::span<const uint32_t> labels, Tensor saved) const {
  const float scale = 1.0F / static_cast<float>(labels.size());
  cpu::SoftmaxCrossEntropyBackward(labels, scale, saved);
}

}  // namespace shardmill::nn
