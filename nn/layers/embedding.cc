#include "nn/layers/embedding.h"

#include "nn/layers/settings.h"

namespace shardmill::nn {

LayerResult EmbeddingLayer::Make(const LayerSpec& spec, std::span<const ValueType> inputs) {
  const Shape& ids = inputs[0].row;
  if (ids.dims() != 1) {
    return BadLayer("it reads a list of ids, but its input is " + ids.ToString());
  }
  const ParameterInfo weight = SM_TRY(RowsWeight(spec));
  const bool bag = spec.type == "embedding_bag";
  const Shape output = bag ? Shape{spec.units} : Shape{ids.size(), spec.units};
  return std::unique_ptr<Layer>(new EmbeddingLayer(bag, output, weight));
}

void EmbeddingLayer::Forward(Backend& backend, const ForwardPass& pass) const {
  if (bag_) {
    backend.SparseAffine(BagsOf(pass.inputs[0]), pass.parameters[0], {}, {}, pass.output);
  } else {
    backend.Gather(pass.inputs[0].indices, pass.parameters[0], pass.output);
  }
}

void EmbeddingLayer::Backward(Backend& backend, const BackwardPass& pass) const {
  const Tensor& gradient = pass.parameter_gradients[0];
  if (gradient.empty()) return;
  if (bag_) {
    backend.SparseAffineGradients(BagsOf(pass.inputs[0]), pass.output_gradient, gradient, {});
  } else {
    backend.Fill(0.0F, gradient);
    backend.AddRows(pass.inputs[0].indices, pass.output_gradient, gradient);
  }
}

SparseRows EmbeddingLayer::BagsOf(const Value& input) {
  if (input.indices.empty()) return input.sparse;
  const IndexTensor& ids = input.indices;
  return {.ids = ids.floats(), .rows = ids.rows()};
}

}  // namespace shardmill::nn
