#pragma once

#include <vector>

#include "nn/layer.h"
#include "nn/network_spec.h"

namespace shardmill::nn {

// Several inputs become one: their sum ("add") or product ("multiply") number by number, or one
// beside the other along the last axis ("concat"). Owned by a Network; cannot fail.
class MergeLayer final : public Layer {
 public:
  static LayerResult Make(const LayerSpec& spec, std::span<const ValueType> inputs);

  std::string_view type() const override;
  const Shape& output() const override { return output_; }
  std::span<const ParameterInfo> parameters() const override { return {}; }
  LayerTraits traits() const override;
  void Forward(Backend& backend, const ForwardPass& pass) const override;
  void Backward(Backend& backend, const BackwardPass& pass) const override;

 private:
  enum class Kind : uint8_t { kAdd, kMultiply, kConcat };

  MergeLayer(Kind kind, const Shape& output) : kind_(kind), output_(output) {}

  static LayerResult MakeConcat(std::span<const ValueType> inputs);

  const Kind kind_;
  const Shape output_;
};

}  // namespace shardmill::nn
