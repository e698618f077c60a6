#include "nn/layers/affine.h"

#include <cmath>

#include "common/assert.h"
#include "nn/ops/cpu/affine.h"

namespace shardmill::nn {
namespace {

constexpr size_t kWeight = 0;
constexpr size_t kBias = 1;

float GlorotLimit(uint64_t inputs, uint64_t units) {
  return static_cast<float>(std::sqrt(6.0 / static_cast<double>(inputs + units)));
}

}  // namespace

Affine::Affine(uint64_t inputs, uint64_t units)
    : output_({units}),
      parameters_{{{"weight", {inputs, units}, GlorotLimit(inputs, units)}, {"bias", {units}}}} {}

void Affine::Forward(ConstTensor input, std::span<const ConstTensor> parameters,
                     Tensor output) const {
  SM_ASSERT(parameters.size() == parameters_.size());
  cpu::AffineForward(input, parameters[kWeight], parameters[kBias], output);
}

void Affine::Backward(const BackwardPass& pass) const {
  SM_ASSERT(pass.parameters.size() == parameters_.size());
  SM_ASSERT(pass.parameter_gradients.size() == parameters_.size());
  cpu::AffineBackwardParameters(pass.input, pass.output_gradient, pass.parameter_gradients[kWeight],
                                pass.parameter_gradients[kBias]);
  if (pass.input_gradient.empty()) return;
  cpu::AffineBackwardInput(pass.output_gradient, pass.parameters[kWeight], pass.input_gradient);
}

}  // namespace shardmill::nn
