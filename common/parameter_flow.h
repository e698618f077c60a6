#pragma once

#include <cstddef>

#include "common/result.h"

namespace shardmill {

// Where a model's parameters come from and where its gradients go while it trains on a batch, so
// that both travel while it computes. Owned by whoever trains, and called on the thread of the
// training, once a parameter each. An error is that of the training: the model hands it on.
class ParameterFlow {
 public:
  virtual ~ParameterFlow() = default;

  // Blocks until the parameter is there to be read. Only then is it known where it lies.
  virtual Result<> Await(size_t parameter) = 0;

  // The gradient is final: it leaves now, and does not change before the step is over.
  virtual Result<> Send(size_t parameter) = 0;
};

}  // namespace shardmill
