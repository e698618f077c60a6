#pragma once

#include <vector>

#include "nn/layer.h"
#include "nn/network_spec.h"

namespace shardmill::nn {

// "conv2d": weights that go over a picture [height, width, channels] as a window; a picture without
// channels has one. With as many groups as channels each channel is by itself. Weights [kernel,
// kernel, channels in of a group, channels out] start normal as He and others propose. Owned by a
// Network; cannot fail.
class ConvolutionLayer final : public Layer {
 public:
  static constexpr std::string_view kType = "conv2d";

  static LayerResult Make(const LayerSpec& spec, std::span<const ValueType> inputs);

  std::string_view type() const override { return kType; }
  const Shape& output() const override { return output_; }
  std::span<const ParameterInfo> parameters() const override { return parameters_; }
  LayerTraits traits() const override;
  uint64_t Work() const override {
    return parameters_[0].shape.size() * output_.dim(0) * output_.dim(1);
  }
  bool Absorb(const Elementwise& after) override;
  void Forward(Backend& backend, const ForwardPass& pass) const override;
  void Backward(Backend& backend, const BackwardPass& pass) const override;

 private:
  ConvolutionLayer(const Shape& input, const Shape& output, const Convolution& how,
                   std::vector<ParameterInfo> parameters);

  const Shape input_;  // With channels.
  const Shape output_;
  const Convolution how_;
  const std::vector<ParameterInfo> parameters_;
  Elementwise after_;
};

}  // namespace shardmill::nn
