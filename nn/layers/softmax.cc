#include "nn/layers/softmax.h"

namespace shardmill::nn {

LayerResult SoftmaxLayer::Make(const LayerSpec&, std::span<const ValueType> inputs) {
  return std::unique_ptr<Layer>(new SoftmaxLayer(inputs[0].row));
}

LayerTraits SoftmaxLayer::traits() const {
  return {.in_place = true, .gradient_in_place = true, .reads_inputs = false, .reads_output = true};
}

void SoftmaxLayer::Forward(Backend& backend, const ForwardPass& pass) const {
  backend.Softmax(pass.inputs[0].floats, pass.output);
}

void SoftmaxLayer::Backward(Backend& backend, const BackwardPass& pass) const {
  backend.SoftmaxGradient(pass.output, pass.output_gradient, pass.input_gradients[0]);
}

}  // namespace shardmill::nn
