#pragma once

#include "nn/layer.h"
#include "nn/network_spec.h"

namespace shardmill::nn {

// The last axis as shares of 1. Before the loss "softmax_cross_entropy" there is no need of it.
// Owned by a Network; cannot fail.
class SoftmaxLayer final : public Layer {
 public:
  static constexpr std::string_view kType = "softmax";

  static LayerResult Make(const LayerSpec& spec, std::span<const ValueType> inputs);

  std::string_view type() const override { return kType; }
  const Shape& output() const override { return output_; }
  std::span<const ParameterInfo> parameters() const override { return {}; }
  LayerTraits traits() const override;
  void Forward(Backend& backend, const ForwardPass& pass) const override;
  void Backward(Backend& backend, const BackwardPass& pass) const override;

 private:
  explicit SoftmaxLayer(const Shape& output) : output_(output) {}

  const Shape output_;
};

}  // namespace shardmill::nn
