#include "nn/layers/dropout.h"

#include "nn/layers/settings.h"

namespace shardmill::nn {

LayerResult DropoutLayer::Make(const LayerSpec& spec, std::span<const ValueType> inputs) {
  if (!(*spec.rate >= 0 && *spec.rate < 1)) {
    return BadLayer("its rate must be at least 0 and below 1");
  }
  return std::unique_ptr<Layer>(new DropoutLayer(static_cast<float>(*spec.rate), inputs[0].row));
}

void DropoutLayer::Forward(Backend& backend, const ForwardPass& pass) const {
  if (pass.training) {
    backend.Dropout(pass.chance, rate_, pass.inputs[0].floats, pass.output);
  } else {
    backend.Apply({}, pass.inputs[0].floats, pass.output);
  }
}

void DropoutLayer::Backward(Backend& backend, const BackwardPass& pass) const {
  backend.Dropout(pass.chance, rate_, pass.output_gradient, pass.input_gradients[0]);
}

}  // namespace shardmill::nn
