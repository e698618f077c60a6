#pragma once

#include <array>

#include "nn/layer.h"
#include "nn/network_spec.h"

namespace shardmill::nn {

// "batch_norm1d" of vectors and "batch_norm2d" of pictures: each channel with the mean and the
// variance that it has in the batch, then scaled and shifted. For evaluation it keeps running
// averages of both, as parameters that are statistics (docs/decisions/0017-nn.md). Frozen, it uses
// those in training too and leaves them as they are. Owned by a Network; cannot fail.
class BatchNormLayer final : public Layer {
 public:
  static LayerResult Make(const LayerSpec& spec, std::span<const ValueType> inputs);

  std::string_view type() const override { return type_; }
  const Shape& output() const override { return output_; }
  std::span<const ParameterInfo> parameters() const override { return parameters_; }
  LayerTraits traits() const override { return {.gradient_in_place = true}; }
  SavedSize Saved(Backend& backend) const override;
  // One number has no variance.
  uint64_t RowsMin() const override { return frozen_ || output_ != channels_ ? 1 : 2; }
  void Forward(Backend& backend, const ForwardPass& pass) const override;
  void Backward(Backend& backend, const BackwardPass& pass) const override;

 private:
  BatchNormLayer(const LayerSpec& spec, const Shape& output);

  const std::string type_;
  const Shape output_;
  const Shape channels_;
  const float epsilon_;
  const bool frozen_;
  const std::array<ParameterInfo, 4> parameters_;
};

// "layer_norm": the last axis of each row by itself, then scaled and shifted. Owned by a Network;
// cannot fail.
class LayerNormLayer final : public Layer {
 public:
  static constexpr std::string_view kType = "layer_norm";

  static LayerResult Make(const LayerSpec& spec, std::span<const ValueType> inputs);

  std::string_view type() const override { return kType; }
  const Shape& output() const override { return output_; }
  std::span<const ParameterInfo> parameters() const override { return parameters_; }
  LayerTraits traits() const override { return {.gradient_in_place = true}; }
  SavedSize Saved(Backend& backend) const override;
  void Forward(Backend& backend, const ForwardPass& pass) const override;
  void Backward(Backend& backend, const BackwardPass& pass) const override;

 private:
  LayerNormLayer(const LayerSpec& spec, const Shape& output);

  const Shape output_;
  const float epsilon_;
  const std::array<ParameterInfo, 2> parameters_;
};

}  // namespace shardmill::nn
