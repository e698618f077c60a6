#include "worker/part_gradients.h"

#include <algorithm>

namespace shardmill {

Result<double> PartGradients::Train(const Batch& batch,
                                    std::span<const std::span<const float>> parameters,
                                    std::span<const std::span<float>> gradients,
                                    ParameterFlow* flow) {
  if (part_rows_ == 0 || batch.rows <= part_rows_) {
    return flow == nullptr ? model_.Train(batch, parameters, gradients)
                           : model_.TrainInFlow(batch, parameters, gradients, *flow);
  }
  for (size_t i = 0; flow != nullptr && i < parameters.size(); ++i) SM_TRY(flow->Await(i));
  sums_.resize(gradients.size());
  for (size_t i = 0; i < gradients.size(); ++i) sums_[i].assign(gradients[i].size(), 0);
  double loss = 0;
  for (uint32_t begin = 0; begin < batch.rows; begin += part_rows_) {
    const Batch part = part_.Of(batch, begin, part_rows_);
    const double share = static_cast<double>(part.rows) / batch.rows;
    const double of_part = SM_TRY(model_.Train(part, parameters, gradients));
    loss += share * of_part;
    const auto scale = static_cast<float>(share);
    for (size_t i = 0; i < gradients.size(); ++i) {
      for (size_t at = 0; at < gradients[i].size(); ++at) sums_[i][at] += scale * gradients[i][at];
    }
  }
  for (size_t i = 0; i < gradients.size(); ++i) {
    std::ranges::copy(sums_[i], gradients[i].begin());
    if (flow != nullptr) SM_TRY(flow->Send(i));
  }
  return loss;
}

}  // namespace shardmill
