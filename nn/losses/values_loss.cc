#include "nn/losses/values_loss.h"

#include <string>

namespace shardmill::nn {

Result<> ValuesLoss::Check(const Targets& targets) const {
  if (kind_ != Kind::kLog) return {};
  for (size_t i = 0; i < targets.values.size(); ++i) {
    if (targets.values[i] >= 0 && targets.values[i] <= 1) continue;
    return Error{ErrorCode::kBadInput, "target " + std::to_string(i) + " of the batch is " +
                                           std::to_string(targets.values[i]) +
                                           ", but the log loss reads chances, from 0 to 1"};
  }
  return {};
}

void ValuesLoss::Compute(Backend& backend, ConstTensor output, const Targets& targets,
                         Tensor row_losses, Tensor gradient) const {
  const float scale = 1.0F / static_cast<float>(output.rows());
  const ConstTensor flat = output.As({output.rows(), output.row_size()});
  if (kind_ == Kind::kLog) {
    backend.LogLoss(flat, targets.values, scale, row_losses, gradient);
  } else {
    const Distance distance = kind_ == Kind::kAbsolute ? Distance::kAbsolute : Distance::kSquared;
    backend.DistanceLoss(distance, flat, targets.values, scale, row_losses, gradient);
  }
}

bool ValuesLoss::IsCorrect(std::span<const float> output, const Targets& targets,
                           uint64_t row) const {
  if (kind_ != Kind::kLog) return false;
  for (size_t i = 0; i < output.size(); ++i) {
    if ((output[i] > 0) != (targets.values[row * output.size() + i] > 0.5F)) return false;
  }
  return true;
}

}  // namespace shardmill::nn
