#include "nn/losses/softmax_cross_entropy.h"

#include <algorithm>
#include <string>

namespace shardmill::nn {

Result<> SoftmaxCrossEntropy::Check(const Targets& targets) const {
  const std::span<const uint32_t> labels = targets.labels;
  for (size_t row = 0; row < labels.size(); ++row) {
    if (labels[row] < classes_) continue;
    return Error{ErrorCode::kBadInput,
                 "row " + std::to_string(row) + " of the batch has the label " +
                     std::to_string(labels[row]) + ", but the network tells " +
                     std::to_string(classes_) + " classes apart, counted from 0"};
  }
  return {};
}

void SoftmaxCrossEntropy::Compute(Backend& backend, ConstTensor output, const Targets& targets,
                                  Tensor row_losses, Tensor gradient) const {
  const float scale = 1.0F / static_cast<float>(targets.labels.size());
  backend.SoftmaxCrossEntropy(output, targets.labels, scale, row_losses, gradient);
}

bool SoftmaxCrossEntropy::IsCorrect(std::span<const float> output, const Targets& targets,
                                    uint64_t row) const {
  return std::max_element(output.begin(), output.end()) - output.begin() == targets.labels[row];
}

}  // namespace shardmill::nn
