#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "common/result.h"
#include "nn/backend.h"
#include "nn/tensor.h"

namespace shardmill::nn {

// Sums over the rows of a batch.
struct LossSums {
  double loss = 0;
  uint64_t correct = 0;                 // Rows whose class was told, where there are classes.
  std::span<const float> outputs = {};  // Of this batch, in the host's memory until the next call.
};

// What the output should have been: a class a row, or a number for each number of the output.
struct Targets {
  std::span<const uint32_t> labels;
  std::span<const float> values;
};

// What training makes small, from the network's output and the targets. It keeps no state between
// calls. Owned by a Network and used on its thread. Targets come from outside and are checked
// first; all else that is wrong is our own bug.
class Loss {
 public:
  virtual ~Loss() = default;

  // Else values.
  virtual bool ReadsLabels() const = 0;
  // An error in words where a target is not one of this loss.
  virtual Result<> Check(const Targets& targets) const = 0;

  // What each row loses, and unless it is empty the gradient by the output of the mean over rows.
  virtual void Compute(Backend& backend, ConstTensor output, const Targets& targets,
                       Tensor row_losses, Tensor gradient) const = 0;
  // Whether the output of a row, in the host's memory, tells the row's class.
  virtual bool IsCorrect(std::span<const float> output, const Targets& targets,
                         uint64_t row) const = 0;
};

using LossResult = Result<std::unique_ptr<Loss>>;

// A loss as a job file calls it. Making it for a network whose output is of that shape may refuse
// it in words. A literal.
struct LossType {
  std::string_view name;
  LossResult (*make)(const Shape& output) = nullptr;
};

}  // namespace shardmill::nn
