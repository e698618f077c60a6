#pragma once

#include <memory>
#include <span>
#include <string>

#include "common/result.h"

namespace shardmill {

// One worker's gradient for a range, and what it counts for.
struct WeightedGradient {
  std::span<const float> values;
  float weight = 1;
};

// Turns the weighted sum of gradients into a change of parameters, element by element. Has no state
// of its own beside its settings; any thread.
class Optimizer {
 public:
  virtual ~Optimizer() = default;

  // Sums the gradients in the order given, so that the bits are the same every time. All spans are
  // of one size.
  virtual void Apply(std::span<const WeightedGradient> gradients, float learning_rate,
                     std::span<float> parameters) const = 0;
};

struct OptimizerSettings {
  std::string name = "sgd";
  double learning_rate = 0.1;
};

// Fails on a name that this build does not know, with the names that it does.
Result<std::unique_ptr<Optimizer>> MakeOptimizer(const std::string& name);

}  // namespace shardmill
