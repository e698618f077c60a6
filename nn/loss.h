#pragma once

#include <cstdint>
#include <span>

#include "common/result.h"
#include "nn/tensor.h"

namespace shardmill::nn {

// Sums over the rows of a batch.
struct LossSums {
  double loss = 0;
  uint64_t correct = 0;
};

// What training makes small, from the network's output and one label a row. It keeps no state
// between calls. Owned by a Network; any thread may call it, since it is never changed. Labels come
// from outside and are checked first; all else that is wrong is our own bug.
class Loss {
 public:
  virtual ~Loss() = default;

  // An error in words where a label is not one of this loss.
  virtual Result<> CheckLabels(std::span<const uint32_t> labels) const = 0;

  // `saved` has the shape of `output` and holds what Backward needs.
  virtual LossSums Forward(ConstTensor output, std::span<const uint32_t> labels,
                           Tensor saved) const = 0;

  // Turns what Forward saved into the gradient of the mean loss by the output.
  virtual void Backward(std::span<const uint32_t> labels, Tensor saved) const = 0;
};

}  // namespace shardmill::nn
