#include "nn/layers/pooling.h"

#include <utility>

#include "nn/layers/settings.h"

namespace shardmill::nn {

LayerResult PoolingLayer::Make(const LayerSpec& spec, std::span<const ValueType> inputs) {
  const Shape picture = SM_TRY(PictureOf(inputs[0].row));
  const bool global = spec.type.starts_with("global_");
  const Pooling pooling =
      spec.type.find("max") == std::string::npos ? Pooling::kAverage : Pooling::kMax;
  if (global) {
    const Window window{.height = static_cast<uint32_t>(picture.dim(0)),
                        .width = static_cast<uint32_t>(picture.dim(1))};
    return std::unique_ptr<Layer>(new PoolingLayer(spec.type, pooling, window, picture,
                                                   {1, 1, picture.dim(2)}, {picture.dim(2)}));
  }
  const Window window = SM_TRY(WindowOf(spec, spec.kernel));
  const Shape edges = SM_TRY(PlacesOf(window, picture));
  const Shape places{edges.dim(0), edges.dim(1), picture.dim(2)};
  return std::unique_ptr<Layer>(
      new PoolingLayer(spec.type, pooling, window, picture, places, places));
}

PoolingLayer::PoolingLayer(std::string type, Pooling pooling, const Window& window,
                           const Shape& input, const Shape& places, const Shape& output)
    : type_(std::move(type)),
      pooling_(pooling),
      window_(window),
      input_(input),
      places_(places),
      output_(output) {}

LayerTraits PoolingLayer::traits() const {
  const bool max = pooling_ == Pooling::kMax;
  return {.reads_inputs = max, .reads_output = max};
}

void PoolingLayer::Forward(Backend& backend, const ForwardPass& pass) const {
  const uint64_t rows = pass.output.rows();
  backend.Pool(pooling_, window_, pass.inputs[0].floats.As(input_.Rows(rows)),
               pass.output.As(places_.Rows(rows)));
}

void PoolingLayer::Backward(Backend& backend, const BackwardPass& pass) const {
  const uint64_t rows = pass.output_gradient.rows();
  const Shape input = input_.Rows(rows), places = places_.Rows(rows);
  backend.PoolGradient(pooling_, window_, pass.inputs[0].floats.As(input), pass.output.As(places),
                       pass.output_gradient.As(places), pass.input_gradients[0].As(input));
}

}  // namespace shardmill::nn
