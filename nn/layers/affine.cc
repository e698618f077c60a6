#include "nn/layers/affine.h"

#include <array>
#include <utility>

#include "common/assert.h"
#include "nn/layers/settings.h"

namespace shardmill::nn {
namespace {

constexpr size_t kWeight = 0;
constexpr size_t kBias = 1;

}  // namespace

LayerResult Affine::Make(const LayerSpec& spec, std::span<const ValueType> inputs) {
  const Shape& input = inputs[0].row;
  if (input.dims() != 1) {
    return BadLayer("it reads vectors, but its input is " + input.ToString() +
                    ": put a \"flatten\" layer before it");
  }
  const std::array<uint64_t, 2> dims{input.size(), spec.units};
  const Shape shape = SM_TRY(Shape::Make(dims));
  const Initial initial = SM_TRY(WeightsInitial(spec, "glorot", input.size(), spec.units));
  std::vector<ParameterInfo> parameters{Weight(spec, "weight", shape, initial)};
  if (!spec.no_bias) parameters.push_back(Bias(spec, "bias", {spec.units}));
  return std::unique_ptr<Layer>(new Affine({spec.units}, std::move(parameters)));
}

Affine::Affine(const Shape& output, std::vector<ParameterInfo> parameters)
    : output_(output), parameters_(std::move(parameters)) {}

LayerTraits Affine::traits() const {
  return {.reads_output = after_.activation != Activation::kNone};
}

bool Affine::Absorb(const Elementwise& after) {
  if (after_.activation != Activation::kNone) return false;
  after_ = after;
  return true;
}

void Affine::Forward(Backend& backend, const ForwardPass& pass) const {
  SM_ASSERT(pass.parameters.size() == parameters_.size());
  const ConstTensor bias = parameters_.size() > kBias ? pass.parameters[kBias] : ConstTensor();
  backend.Affine(pass.inputs[0].floats, pass.parameters[kWeight], bias, after_, pass.output);
}

void Affine::Backward(Backend& backend, const BackwardPass& pass) const {
  SM_ASSERT(pass.parameter_gradients.size() == parameters_.size());
  const Tensor& back = pass.output_gradient;
  if (after_.activation != Activation::kNone) {
    backend.ApplyGradient(after_, pass.output, back, back);
  }
  if (!pass.parameter_gradients[kWeight].empty()) {
    const Tensor bias = parameters_.size() > kBias ? pass.parameter_gradients[kBias] : Tensor();
    backend.AffineParameterGradients(pass.inputs[0].floats, back, pass.parameter_gradients[kWeight],
                                     bias);
  }
  if (pass.input_gradients[0].empty()) return;
  backend.AffineInputGradient(back, pass.parameters[kWeight], pass.input_gradients[0]);
}

}  // namespace shardmill::nn
