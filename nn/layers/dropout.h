#pragma once

#include "nn/layer.h"
#include "nn/network_spec.h"

namespace shardmill::nn {

// In training each number is zero with a chance of `rate`, and the others are scaled up so that
// their mean stays; else it hands all on. Which ones is a function of the step's chance. Owned by a
// Network; cannot fail.
class DropoutLayer final : public Layer {
 public:
  static constexpr std::string_view kType = "dropout";

  static LayerResult Make(const LayerSpec& spec, std::span<const ValueType> inputs);

  std::string_view type() const override { return kType; }
  const Shape& output() const override { return output_; }
  std::span<const ParameterInfo> parameters() const override { return {}; }
  LayerTraits traits() const override {
    return {.in_place = true, .gradient_in_place = true, .reads_inputs = false, .by_chance = true};
  }
  void Forward(Backend& backend, const ForwardPass& pass) const override;
  void Backward(Backend& backend, const BackwardPass& pass) const override;

 private:
  DropoutLayer(float rate, const Shape& output) : rate_(rate), output_(output) {}

  const float rate_;
  const Shape output_;
};

}  // namespace shardmill::nn
