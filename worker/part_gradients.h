#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "client/model.h"
#include "common/parameter_flow.h"
#include "common/result.h"
#include "worker/data/batches.h"

namespace shardmill {

// Trains on a batch part by part, so that a model's memory is that of a part: the loss and the
// gradients are the means over the whole batch. Owned by whoever trains, on the model's thread;
// fails as the model does.
class PartGradients final {
 public:
  // `part_rows`: 0: the batch is one part.
  PartGradients(Model& model, uint32_t part_rows) : model_(model), part_rows_(part_rows) {}

  // Without a flow all parameters are there, and the gradients stay.
  Result<double> Train(const Batch& batch, std::span<const std::span<const float>> parameters,
                       std::span<const std::span<float>> gradients, ParameterFlow* flow = nullptr);

 private:
  Model& model_;
  const uint32_t part_rows_;
  BatchPart part_;
  std::vector<std::vector<float>> sums_;
};

}  // namespace shardmill
