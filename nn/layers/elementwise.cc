#include "nn/layers/elementwise.h"

#include <array>

#include "common/assert.h"
#include "nn/layers/settings.h"

namespace shardmill::nn {
namespace {

struct Named {
  std::string_view name;
  Activation activation;
  float slope;  // Where the job names none.
};

constexpr std::array<Named, 8> kActivations = {{
    {"relu", Activation::kRelu, 0},
    {"leaky_relu", Activation::kLeakyRelu, 0.01F},
    {"elu", Activation::kElu, 1},
    {"selu", Activation::kSelu, 0},
    {"gelu", Activation::kGelu, 0},
    {"silu", Activation::kSilu, 0},
    {"sigmoid", Activation::kSigmoid, 0},
    {"tanh", Activation::kTanh, 0},
}};

}  // namespace

LayerResult ElementwiseLayer::Make(const LayerSpec& spec, std::span<const ValueType> inputs) {
  for (const Named& named : kActivations) {
    if (named.name != spec.type) continue;
    const Elementwise function{named.activation,
                               static_cast<float>(spec.slope.value_or(named.slope))};
    // The way back tells the sides apart by what came out.
    if (spec.slope && *spec.slope <= 0) return BadLayer("its slope must be above 0");
    return std::unique_ptr<Layer>(new ElementwiseLayer(named.name, function, inputs[0].row));
  }
  SM_ASSERT(false);
}

LayerTraits ElementwiseLayer::traits() const {
  const bool inverts = InvertsFromOutput(function_.activation);
  return {.in_place = inverts,
          .gradient_in_place = true,
          .reads_inputs = !inverts,
          .reads_output = inverts};
}

void ElementwiseLayer::Forward(Backend& backend, const ForwardPass& pass) const {
  backend.Apply(function_, pass.inputs[0].floats, pass.output);
}

void ElementwiseLayer::Backward(Backend& backend, const BackwardPass& pass) const {
  const ConstTensor seen =
      InvertsFromOutput(function_.activation) ? pass.output : pass.inputs[0].floats;
  backend.ApplyGradient(function_, seen, pass.output_gradient, pass.input_gradients[0]);
}

}  // namespace shardmill::nn
