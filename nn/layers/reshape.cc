#include "nn/layers/reshape.h"

#include "common/assert.h"
#include "nn/layers/settings.h"

namespace shardmill::nn {

LayerResult Reshape::Make(const LayerSpec& spec, std::span<const ValueType> inputs) {
  const Shape& input = inputs[0].row;
  if (spec.type == kFlatten) {
    return std::unique_ptr<Layer>(new Reshape(kFlatten, {input.size()}));
  }
  const Shape shape = SM_TRY(ParseShape(spec.shape));
  if (shape.size() != input.size() || shape.dims() >= Shape::kDimsMax) {
    return BadLayer("its input " + input.ToString() + " is " + std::to_string(input.size()) +
                    " numbers, which cannot be seen as " + shape.ToString());
  }
  return std::unique_ptr<Layer>(new Reshape(kType, shape));
}

void Reshape::Forward(Backend&, const ForwardPass&) const { SM_ASSERT(false); }

void Reshape::Backward(Backend&, const BackwardPass&) const { SM_ASSERT(false); }

}  // namespace shardmill::nn
