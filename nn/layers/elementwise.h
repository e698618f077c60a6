#pragma once

#include "nn/layer.h"
#include "nn/network_spec.h"

namespace shardmill::nn {

// A function of each number by itself: all activations are this one layer. Where it can, a network
// has the layer before it do it too, or lays its output over its input. Owned by a Network; cannot
// fail.
class ElementwiseLayer final : public Layer {
 public:
  static LayerResult Make(const LayerSpec& spec, std::span<const ValueType> inputs);

  std::string_view type() const override { return type_; }
  const Shape& output() const override { return output_; }
  std::span<const ParameterInfo> parameters() const override { return {}; }
  LayerTraits traits() const override;
  std::optional<Elementwise> Function() const override { return function_; }
  void Forward(Backend& backend, const ForwardPass& pass) const override;
  void Backward(Backend& backend, const BackwardPass& pass) const override;

 private:
  ElementwiseLayer(std::string_view type, const Elementwise& function, const Shape& output)
      : type_(type), function_(function), output_(output) {}

  const std::string_view type_;
  const Elementwise function_;
  const Shape output_;
};

}  // namespace shardmill::nn
