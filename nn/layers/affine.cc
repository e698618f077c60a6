#include "nn/layers/affine.h"

#include <array>
#include <utility>

#include "common/assert.h"
#include "nn/layers/settings.h"

namespace shardmill::nn {
namespace {

constexpr size_t kWeight = 0;
constexpr size_t kBias = 1;

Result<ParameterInfo> WeightOf(const LayerSpec& spec, const ValueType& type) {
  if (type.kind == ValueKind::kSparse) return RowsWeight(spec);
  if (spec.rows > 0) return BadLayer("its input is no sparse rows, of which alone it takes rows");
  const Shape& input = type.row;
  const std::array<uint64_t, 2> dims{input.size(), spec.units};
  const Shape shape = SM_TRY(Shape::Make(dims));
  const Initial initial = SM_TRY(WeightsInitial(spec, "glorot", input.size(), spec.units));
  return Weight(spec, "weight", shape, initial);
}

}  // namespace

LayerResult Affine::Make(const LayerSpec& spec, std::span<const ValueType> inputs) {
  std::vector<ParameterInfo> parameters;
  parameters.push_back(SM_TRY(WeightOf(spec, inputs[0])));
  if (!spec.no_bias) parameters.push_back(Bias(spec, "bias", {spec.units}));
  const bool sparse = inputs[0].kind == ValueKind::kSparse;
  return std::unique_ptr<Layer>(new Affine({spec.units}, std::move(parameters), sparse));
}

Affine::Affine(const Shape& output, std::vector<ParameterInfo> parameters, bool sparse)
    : output_(output), parameters_(std::move(parameters)), sparse_(sparse) {}

LayerTraits Affine::traits() const {
  return {.reads_output = after_.activation != Activation::kNone};
}

// How many ids a sparse row has is not known.
uint64_t Affine::Work() const {
  return sparse_ ? output_.size() : parameters_[kWeight].shape.size();
}

uint64_t Affine::IndexLimit() const {
  const uint64_t rows = parameters_[kWeight].shape.dim(0);
  return sparse_ && rows > 0 ? rows : UINT64_MAX;
}

bool Affine::Absorb(const Elementwise& after) {
  if (after_.activation != Activation::kNone) return false;
  after_ = after;
  return true;
}

void Affine::Forward(Backend& backend, const ForwardPass& pass) const {
  SM_ASSERT(pass.parameters.size() == parameters_.size());
  const ConstTensor bias = parameters_.size() > kBias ? pass.parameters[kBias] : ConstTensor();
  if (sparse_) {
    backend.SparseAffine(pass.inputs[0].sparse, pass.parameters[kWeight], bias, after_,
                         pass.output);
  } else {
    backend.Affine(pass.inputs[0].floats, pass.parameters[kWeight], bias, after_, pass.output);
  }
}

void Affine::Backward(Backend& backend, const BackwardPass& pass) const {
  SM_ASSERT(pass.parameter_gradients.size() == parameters_.size());
  const Tensor& back = pass.output_gradient;
  if (after_.activation != Activation::kNone) {
    backend.ApplyGradient(after_, pass.output, back, back);
  }
  const Tensor& weight = pass.parameter_gradients[kWeight];
  const Tensor bias = parameters_.size() > kBias ? pass.parameter_gradients[kBias] : Tensor();
  if (sparse_) {
    backend.SparseAffineGradients(pass.inputs[0].sparse, back, weight, bias);
    return;
  }
  if (!weight.empty()) {
    backend.AffineParameterGradients(pass.inputs[0].floats, back, weight, bias);
  }
  if (pass.input_gradients[0].empty()) return;
  backend.AffineInputGradient(back, pass.parameters[kWeight], pass.input_gradients[0]);
}

}  // namespace shardmill::nn
