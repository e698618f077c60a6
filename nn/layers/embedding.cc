#include "nn/layers/embedding.h"

#include <algorithm>
#include <array>

#include "nn/layers/settings.h"

namespace shardmill::nn {
namespace {

constexpr float kInitialScale = 0.05F;

}  // namespace

LayerResult EmbeddingLayer::Make(const LayerSpec& spec, std::span<const ValueType> inputs) {
  const Shape& ids = inputs[0].row;
  if (ids.dims() != 1)
    return BadLayer("it reads a list of ids, but its input is " + ids.ToString());
  if (spec.rows > UINT32_MAX) return BadLayer("it has at most 4294967295 rows");
  const std::array<uint64_t, 2> dims{std::max<uint64_t>(spec.rows, 1), spec.units};
  const Shape whole = SM_TRY(Shape::Make(dims));
  const Shape shape = spec.rows == 0 ? Shape{0, spec.units} : whole;
  const bool bag = spec.type == "embedding_bag";
  const Shape output = bag ? Shape{spec.units} : Shape{ids.size(), spec.units};
  Initial initial = Initial::Uniform(kInitialScale, 0);
  if (!spec.initial.empty()) {
    initial = SM_TRY(WeightsInitial(spec, spec.initial, spec.units, spec.units));
  }
  return std::unique_ptr<Layer>(
      new EmbeddingLayer(bag, output, Weight(spec, "weight", shape, initial)));
}

void EmbeddingLayer::Forward(Backend& backend, const ForwardPass& pass) const {
  const IndexTensor ids = pass.inputs[0].indices;
  if (bag_) {
    backend.GatherSum(ids, pass.parameters[0], 1.0F, pass.output);
  } else {
    backend.Gather(ids, pass.parameters[0], pass.output);
  }
}

void EmbeddingLayer::Backward(Backend& backend, const BackwardPass& pass) const {
  const Tensor& gradient = pass.parameter_gradients[0];
  if (gradient.empty()) return;
  backend.Fill(0.0F, gradient);
  const IndexTensor ids = pass.inputs[0].indices;
  if (bag_) {
    backend.AddRowsOfSums(ids, pass.output_gradient, 1.0F, gradient);
  } else {
    backend.AddRows(ids, pass.output_gradient, gradient);
  }
}

}  // namespace shardmill::nn
