#include "nn/layers/normalization.h"

#include <utility>

#include "nn/layers/settings.h"

namespace shardmill::nn {
namespace {

constexpr size_t kScale = 0;
constexpr size_t kShift = 1;
constexpr size_t kMean = 2;
constexpr size_t kVariance = 3;
constexpr double kEpsilon = 1e-5;
constexpr double kMomentum = 0.9;

Shape LastAxis(const Shape& row) { return {row.dim(row.dims() - 1)}; }

ParameterInfo Scale(const LayerSpec& spec, const Shape& shape) {
  return Bias(spec, "scale", shape, 1);
}

ParameterInfo Statistic(const LayerSpec& spec, std::string name, const Shape& shape, float value) {
  const auto rate = static_cast<float>(1 - spec.momentum.value_or(kMomentum));
  return {std::move(name), shape, Initial::Constant(value), Role::kStatistic, rate, false};
}

// The two halves of what a norm keeps: means, then deviations.
Tensor Half(std::span<float> saved, bool second) {
  const uint64_t size = saved.size() / 2;
  return Tensor(saved.subspan(second ? size : 0, size), {size});
}

Result<> CheckNorm(const LayerSpec& spec) {
  if (spec.epsilon && !(*spec.epsilon > 0)) return BadLayer("its epsilon must be above 0");
  if (spec.momentum && !(*spec.momentum >= 0 && *spec.momentum < 1)) {
    return BadLayer("its momentum must be at least 0 and below 1");
  }
  return {};
}

}  // namespace

LayerResult BatchNormLayer::Make(const LayerSpec& spec, std::span<const ValueType> inputs) {
  SM_TRY(CheckNorm(spec));
  return std::unique_ptr<Layer>(new BatchNormLayer(spec, inputs[0].row));
}

BatchNormLayer::BatchNormLayer(const LayerSpec& spec, const Shape& output)
    : type_(spec.type),
      output_(output),
      channels_(LastAxis(output)),
      epsilon_(static_cast<float>(spec.epsilon.value_or(kEpsilon))),
      frozen_(spec.frozen),
      parameters_{Scale(spec, channels_), Bias(spec, "shift", channels_),
                  Statistic(spec, "mean", channels_, 0),
                  Statistic(spec, "variance", channels_, 1)} {}

SavedSize BatchNormLayer::Saved(Backend&) const { return {.of_batch = 2 * channels_.size()}; }

void BatchNormLayer::Forward(Backend& backend, const ForwardPass& pass) const {
  const ConstMatrix input = pass.inputs[0].floats;
  const std::span<const ConstTensor> by = pass.parameters;
  if (pass.training && !frozen_) {
    backend.BatchNorm(input, by[kScale], by[kShift], epsilon_, pass.output, Half(pass.saved, false),
                      Half(pass.saved, true));
  } else {
    backend.BatchNormWith(input, by[kScale], by[kShift], epsilon_, by[kMean], by[kVariance],
                          pass.output);
  }
}

void BatchNormLayer::Backward(Backend& backend, const BackwardPass& pass) const {
  const std::span<const ConstTensor> by = pass.parameters;
  const std::span<const Tensor> gradients = pass.parameter_gradients;
  const Tensor mean = Half(pass.saved, false), inverse_deviation = Half(pass.saved, true);
  const Matrix input_gradient =
      pass.input_gradients[0].empty() ? Matrix() : Matrix(pass.input_gradients[0]);
  if (frozen_) {
    backend.Fill(0.0F, gradients[kMean]);
    backend.Fill(0.0F, gradients[kVariance]);
    if (input_gradient.empty()) return;
    // What went in is only scaled, and so is what comes back: about a mean of zero, without shift.
    backend.Fill(0.0F, mean);
    backend.BatchNormWith(pass.output_gradient, by[kScale], mean, epsilon_, mean, by[kVariance],
                          input_gradient);
    return;
  }
  const ConstMatrix input = pass.inputs[0].floats;
  backend.BatchNormStatistics(input.rows(), epsilon_, mean, inverse_deviation, by[kMean],
                              by[kVariance], gradients[kMean], gradients[kVariance]);
  backend.BatchNormGradient(input, by[kScale], mean, inverse_deviation, pass.output_gradient,
                            input_gradient, gradients[kScale], gradients[kShift]);
}

LayerResult LayerNormLayer::Make(const LayerSpec& spec, std::span<const ValueType> inputs) {
  SM_TRY(CheckNorm(spec));
  return std::unique_ptr<Layer>(new LayerNormLayer(spec, inputs[0].row));
}

LayerNormLayer::LayerNormLayer(const LayerSpec& spec, const Shape& output)
    : output_(output),
      epsilon_(static_cast<float>(spec.epsilon.value_or(kEpsilon))),
      parameters_{Scale(spec, LastAxis(output)), Bias(spec, "shift", LastAxis(output))} {}

SavedSize LayerNormLayer::Saved(Backend&) const {
  return {.of_row = 2 * output_.size() / LastAxis(output_).size()};
}

void LayerNormLayer::Forward(Backend& backend, const ForwardPass& pass) const {
  backend.LayerNorm(pass.inputs[0].floats, pass.parameters[kScale], pass.parameters[kShift],
                    epsilon_, pass.output, Half(pass.saved, false), Half(pass.saved, true));
}

void LayerNormLayer::Backward(Backend& backend, const BackwardPass& pass) const {
  const Matrix input_gradient =
      pass.input_gradients[0].empty() ? Matrix() : Matrix(pass.input_gradients[0]);
  backend.LayerNormGradient(pass.inputs[0].floats, pass.parameters[kScale], Half(pass.saved, false),
                            Half(pass.saved, true), pass.output_gradient, input_gradient,
                            pass.parameter_gradients[kScale], pass.parameter_gradients[kShift]);
}

}  // namespace shardmill::nn
