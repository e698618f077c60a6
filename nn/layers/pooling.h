#pragma once

#include "nn/layer.h"
#include "nn/network_spec.h"

namespace shardmill::nn {

// The greatest or the mean number of each window of each channel: "max_pool", "average_pool", and
// with the whole picture as the window "global_max_pool", "global_average_pool". Owned by a
// Network; cannot fail.
class PoolingLayer final : public Layer {
 public:
  static LayerResult Make(const LayerSpec& spec, std::span<const ValueType> inputs);

  std::string_view type() const override { return type_; }
  const Shape& output() const override { return output_; }
  std::span<const ParameterInfo> parameters() const override { return {}; }
  LayerTraits traits() const override;
  void Forward(Backend& backend, const ForwardPass& pass) const override;
  void Backward(Backend& backend, const BackwardPass& pass) const override;

 private:
  PoolingLayer(std::string type, Pooling pooling, const Window& window, const Shape& input,
               const Shape& places, const Shape& output);

  const std::string type_;
  const Pooling pooling_;
  const Window window_;
  const Shape input_;   // With channels.
  const Shape places_;  // The same of the output.
  const Shape output_;
};

}  // namespace shardmill::nn
