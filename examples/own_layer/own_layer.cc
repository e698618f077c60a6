// A layer and a loss of one's own, in a library that a job file names:
//
//   [model]
//   library = "bazel-bin/examples/own_layer/libown_layer.so"
//   loss = "my::SmoothedCrossEntropy"
//   layers = [ ..., { type = "my::Swish" }, ... ]
//
// `examples/own_layer/run` builds it and trains with it. Each type is a class, and one line in the
// lists at the end of this file.
#include <algorithm>
#include <array>
#include <cmath>
#include <memory>
#include <string>

#include "nn/own_types.h"

namespace my {
namespace {

using shardmill::Error;
using shardmill::ErrorCode;
using shardmill::Initial;
using shardmill::Result;
using shardmill::nn::Backend;
using shardmill::nn::BackwardPass;
using shardmill::nn::ConstTensor;
using shardmill::nn::ForwardPass;
using shardmill::nn::Layer;
using shardmill::nn::LayerKey;
using shardmill::nn::LayerResult;
using shardmill::nn::LayerSpec;
using shardmill::nn::LayerTraits;
using shardmill::nn::LayerType;
using shardmill::nn::Loss;
using shardmill::nn::LossResult;
using shardmill::nn::LossType;
using shardmill::nn::OwnTypes;
using shardmill::nn::ParameterInfo;
using shardmill::nn::Shape;
using shardmill::nn::Targets;
using shardmill::nn::Tensor;
using shardmill::nn::ValueType;

// x sigmoid(beta x) with a beta that is learnt: one number for the whole layer. `slope` in the job
// file is where it starts. Owned by a network; cannot fail.
class Swish final : public Layer {
 public:
  static LayerResult Make(const LayerSpec& spec, std::span<const ValueType> inputs) {
    const auto start = static_cast<float>(spec.slope.value_or(1));
    return std::unique_ptr<Layer>(new Swish(inputs[0].row, start));
  }

  std::string_view type() const override { return "my::Swish"; }
  const Shape& output() const override { return row_; }
  std::span<const ParameterInfo> parameters() const override { return parameters_; }
  // Backward reads what came in, and writes the input's gradient where the output's lies.
  LayerTraits traits() const override { return {.gradient_in_place = true}; }

  void Forward(Backend&, const ForwardPass& pass) const override {
    const float beta = pass.parameters[0].data()[0];
    const std::span<const float> in = pass.inputs[0].floats.floats();
    const std::span<float> out = pass.output.floats();
    for (size_t i = 0; i < in.size(); ++i) out[i] = in[i] * Sigmoid(beta * in[i]);
  }

  void Backward(Backend&, const BackwardPass& pass) const override {
    const float beta = pass.parameters[0].data()[0];
    const std::span<const float> in = pass.inputs[0].floats.floats();
    const std::span<const float> above = pass.output_gradient.floats();
    const std::span<float> below = pass.input_gradients[0].floats();  // Empty: nobody wants it.
    const std::span<float> of_beta = pass.parameter_gradients[0].floats();
    double sum = 0;
    for (size_t i = 0; i < in.size(); ++i) {
      const float open = Sigmoid(beta * in[i]);
      const float slope = in[i] * open * (1 - open);
      sum += static_cast<double>(above[i] * in[i] * slope);
      if (!below.empty()) below[i] = above[i] * (open + beta * slope);
    }
    if (!of_beta.empty()) of_beta[0] = static_cast<float>(sum);
  }

 private:
  Swish(const Shape& row, float start)
      : row_(row),
        parameters_{
            ParameterInfo{.name = "beta", .shape = {1}, .initial = Initial::Constant(start)}} {}

  static float Sigmoid(float x) { return 1 / (1 + std::exp(-x)); }

  const Shape row_;
  const std::array<ParameterInfo, 1> parameters_;
};

// Cross entropy against targets that are 0.9 sure of the class, and share the rest among all. Owned
// by a network. Fails on a label that is none of the classes.
class SmoothedCrossEntropy final : public Loss {
 public:
  static LossResult Make(const Shape& output) {
    if (output.dims() == 1 && output.size() >= 2) {
      return std::unique_ptr<Loss>(new SmoothedCrossEntropy(output.size()));
    }
    return Error{ErrorCode::kBadUsage, "my::SmoothedCrossEntropy reads one number a class"};
  }

  bool ReadsLabels() const override { return true; }

  Result<> Check(const Targets& targets) const override {
    for (const uint32_t label : targets.labels) {
      if (label < classes_) continue;
      return Error{ErrorCode::kBadInput, "the label " + std::to_string(label) + " is none of " +
                                             std::to_string(classes_) + " classes"};
    }
    return {};
  }

  void Compute(Backend&, ConstTensor output, const Targets& targets, Tensor row_losses,
               Tensor gradient) const override {
    const float share = kSpread / static_cast<float>(classes_);
    const float scale = 1 / static_cast<float>(targets.labels.size());
    for (uint64_t row = 0; row < targets.labels.size(); ++row) {
      const std::span<const float> scores = output.row(row);
      const float greatest = *std::ranges::max_element(scores);
      float sum = 0;
      for (const float score : scores) sum += std::exp(score - greatest);
      const float log_sum = greatest + std::log(sum);
      float loss = 0;
      for (uint64_t i = 0; i < classes_; ++i) {
        const float target = share + (i == targets.labels[row] ? 1 - kSpread : 0);
        loss += target * (log_sum - scores[i]);
        if (gradient.empty()) continue;
        gradient.row(row)[i] = scale * (std::exp(scores[i] - log_sum) - target);
      }
      row_losses.data()[row] = loss;
    }
  }

  bool IsCorrect(std::span<const float> output, const Targets& targets,
                 uint64_t row) const override {
    return std::ranges::max_element(output) - output.begin() == targets.labels[row];
  }

 private:
  static constexpr float kSpread = 0.1F;
  explicit SmoothedCrossEntropy(uint64_t classes) : classes_(classes) {}

  const uint64_t classes_;
};

constexpr std::array kLayers{
    LayerType{.name = "my::Swish", .make = Swish::Make, .takes = {LayerKey::kSlope}}};
constexpr std::array kLosses{LossType{"my::SmoothedCrossEntropy", SmoothedCrossEntropy::Make}};
constexpr OwnTypes kTypes{.layers = kLayers, .losses = kLosses};

}  // namespace
}  // namespace my

extern "C" const shardmill::nn::LibraryHead* shardmill_own_types() { return &my::kTypes.head; }
