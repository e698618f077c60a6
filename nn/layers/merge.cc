#include "nn/layers/merge.h"

#include <array>

#include "nn/layers/settings.h"

namespace shardmill::nn {
namespace {

Error Unlike(const Shape& first, const Shape& other) {
  return BadLayer("its inputs do not fit together: one is " + first.ToString() + ", another " +
                  other.ToString());
}

}  // namespace

LayerResult MergeLayer::Make(const LayerSpec& spec, std::span<const ValueType> inputs) {
  if (spec.type == "concat") return MakeConcat(inputs);
  const Shape& first = inputs[0].row;
  for (const ValueType& input : inputs) {
    if (input.row != first) return Unlike(first, input.row);
  }
  const Kind kind = spec.type == "add" ? Kind::kAdd : Kind::kMultiply;
  return std::unique_ptr<Layer>(new MergeLayer(kind, first));
}

LayerResult MergeLayer::MakeConcat(std::span<const ValueType> inputs) {
  const Shape& first = inputs[0].row;
  std::array<uint64_t, Shape::kDimsMax> dims{};
  const size_t last = first.dims() - 1;
  for (size_t axis = 0; axis < last; ++axis) dims[axis] = first.dim(axis);
  for (const ValueType& input : inputs) {
    bool fits = input.row.dims() == first.dims();
    for (size_t axis = 0; fits && axis < last; ++axis) {
      fits = input.row.dim(axis) == first.dim(axis);
    }
    if (!fits) return Unlike(first, input.row);
    dims[last] += input.row.dim(last);
  }
  const Shape output = SM_TRY(Shape::Make(std::span(dims).first(last + 1)));
  return std::unique_ptr<Layer>(new MergeLayer(Kind::kConcat, output));
}

std::string_view MergeLayer::type() const {
  if (kind_ == Kind::kConcat) return "concat";
  return kind_ == Kind::kAdd ? "add" : "multiply";
}

LayerTraits MergeLayer::traits() const {
  return {.in_place = kind_ == Kind::kAdd,
          .gradient_in_place = kind_ != Kind::kConcat,
          .reads_inputs = kind_ == Kind::kMultiply};
}

void MergeLayer::Forward(Backend& backend, const ForwardPass& pass) const {
  if (kind_ == Kind::kMultiply) {
    backend.Multiply(pass.inputs[0].floats, pass.inputs[1].floats, pass.output);
    return;
  }
  if (kind_ == Kind::kAdd) {
    backend.Apply({}, pass.inputs[0].floats, pass.output);
    for (const Value& input : pass.inputs.subspan(1)) backend.Add(input.floats, pass.output);
    return;
  }
  uint64_t begin = 0;
  for (const Value& input : pass.inputs) {
    const ConstMatrix part(input.floats);
    backend.Copy(part, Matrix(pass.output).Columns(begin, part.columns()));
    begin += part.columns();
  }
}

// The first input's gradient may lie over the output's, and so is written last.
void MergeLayer::Backward(Backend& backend, const BackwardPass& pass) const {
  const ConstTensor back = pass.output_gradient;
  uint64_t end = ConstMatrix(back).columns();
  for (size_t slot = pass.inputs.size(); slot-- > 0;) {
    const Tensor& gradient = pass.input_gradients[slot];
    const Shape& shape = pass.inputs[slot].floats.shape();
    const uint64_t columns = shape.dim(shape.dims() - 1);
    end -= kind_ == Kind::kConcat ? columns : 0;
    if (gradient.empty()) continue;
    if (kind_ == Kind::kAdd) {
      backend.Apply({}, back, gradient);
    } else if (kind_ == Kind::kMultiply) {
      backend.Multiply(back, pass.inputs[1 - slot].floats, gradient);
    } else {
      backend.Copy(ConstMatrix(back).Columns(end, columns), gradient);
    }
  }
}

}  // namespace shardmill::nn
