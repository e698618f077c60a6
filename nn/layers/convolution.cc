#include "nn/layers/convolution.h"

#include <array>
#include <utility>

#include "common/assert.h"
#include "nn/layers/settings.h"

namespace shardmill::nn {
namespace {

constexpr size_t kWeight = 0;
constexpr size_t kBias = 1;

}  // namespace

LayerResult ConvolutionLayer::Make(const LayerSpec& spec, std::span<const ValueType> inputs) {
  const Shape picture = SM_TRY(PictureOf(inputs[0].row));
  const Window window = SM_TRY(WindowOf(spec, 1));
  const Shape places = SM_TRY(PlacesOf(window, picture));
  const uint64_t channels = picture.dim(2);
  const uint64_t groups = spec.groups == 0 ? 1 : spec.groups;
  if (channels % groups != 0 || spec.units % groups != 0) {
    return BadLayer("its " + std::to_string(channels) + " channels in and " +
                    std::to_string(spec.units) + " out cannot be shared out to " +
                    std::to_string(groups) + " groups");
  }
  const std::array<uint64_t, 4> dims{window.height, window.width, channels / groups, spec.units};
  const Shape shape = SM_TRY(Shape::Make(dims));
  const std::array<uint64_t, 3> output_dims{places.dim(0), places.dim(1), spec.units};
  const Shape output = SM_TRY(Shape::Make(output_dims));
  const uint64_t area = uint64_t{window.height} * window.width;
  const Initial initial =
      SM_TRY(WeightsInitial(spec, "he", area * channels / groups, area * spec.units / groups));
  std::vector<ParameterInfo> parameters{Weight(spec, "weight", shape, initial)};
  if (!spec.no_bias) parameters.push_back(Bias(spec, "bias", {spec.units}));
  const Convolution how{window, static_cast<uint32_t>(groups)};
  return std::unique_ptr<Layer>(new ConvolutionLayer(picture, output, how, std::move(parameters)));
}

ConvolutionLayer::ConvolutionLayer(const Shape& input, const Shape& output, const Convolution& how,
                                   std::vector<ParameterInfo> parameters)
    : input_(input), output_(output), how_(how), parameters_(std::move(parameters)) {}

LayerTraits ConvolutionLayer::traits() const {
  return {.reads_output = after_.activation != Activation::kNone};
}

bool ConvolutionLayer::Absorb(const Elementwise& after) {
  if (after_.activation != Activation::kNone) return false;
  after_ = after;
  return true;
}

void ConvolutionLayer::Forward(Backend& backend, const ForwardPass& pass) const {
  const ConstTensor bias = parameters_.size() > kBias ? pass.parameters[kBias] : ConstTensor();
  const ConstTensor input = pass.inputs[0].floats;
  backend.Convolve(how_, input.As(input_.Rows(input.rows())), pass.parameters[kWeight], bias,
                   after_, pass.output);
}

void ConvolutionLayer::Backward(Backend& backend, const BackwardPass& pass) const {
  const Tensor& back = pass.output_gradient;
  const Shape shape = input_.Rows(back.rows());
  if (after_.activation != Activation::kNone) {
    backend.ApplyGradient(after_, pass.output, back, back);
  }
  if (!pass.parameter_gradients[kWeight].empty()) {
    const Tensor bias = parameters_.size() > kBias ? pass.parameter_gradients[kBias] : Tensor();
    backend.ConvolveParameterGradients(how_, pass.inputs[0].floats.As(shape), back,
                                       pass.parameter_gradients[kWeight], bias);
  }
  if (pass.input_gradients[0].empty()) return;
  backend.ConvolveInputGradient(how_, back, pass.parameters[kWeight],
                                pass.input_gradients[0].As(shape));
}

}  // namespace shardmill::nn
