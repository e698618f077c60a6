#include "nn/layers/factorization.h"

#include "nn/layers/settings.h"

namespace shardmill::nn {

LayerResult FactorizationLayer::Make(const LayerSpec&, std::span<const ValueType> inputs) {
  if (inputs[0].row.dims() != 2) {
    return BadLayer("it reads a vector for each field, but its input is " +
                    inputs[0].row.ToString() + ": put an \"embedding\" layer before it");
  }
  return std::unique_ptr<Layer>(std::make_unique<FactorizationLayer>());
}

void FactorizationLayer::Forward(Backend& backend, const ForwardPass& pass) const {
  backend.PairwiseProducts(pass.inputs[0].floats, pass.output);
}

void FactorizationLayer::Backward(Backend& backend, const BackwardPass& pass) const {
  backend.PairwiseProductsGradient(pass.inputs[0].floats, pass.output_gradient,
                                   pass.input_gradients[0]);
}

}  // namespace shardmill::nn
