#include "nn/layers/affine.h"

#include <algorithm>
#include <cmath>

#include "common/assert.h"
#include "common/rng.h"
#include "nn/ops/cpu/affine.h"

namespace shardmill::nn {
namespace {

constexpr size_t kWeight = 0;
constexpr size_t kBias = 1;

}  // namespace

Affine::Affine(uint64_t inputs, uint64_t units)
    : output_({units}), parameters_{{{"weight", {inputs, units}}, {"bias", {units}}}} {}

void Affine::Initialize(size_t parameter, uint64_t stream, std::span<float> values) const {
  SM_ASSERT(parameter < parameters_.size());
  const Shape& shape = parameters_[parameter].shape;
  SM_ASSERT(values.size() == shape.size());
  if (parameter == kBias) {
    std::fill(values.begin(), values.end(), 0.0F);
    return;
  }
  const double limit = std::sqrt(6.0 / static_cast<double>(shape.dim(0) + shape.dim(1)));
  Rng rng(stream);
  for (float& value : values) value = static_cast<float>(limit * (2 * rng.Uniform() - 1));
}

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
