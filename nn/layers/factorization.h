#pragma once

#include "nn/layer.h"
#include "nn/network_spec.h"

namespace shardmill::nn {

// "fm", the second order of a factorization machine: of the vectors that a row's fields have, the
// sum of the products of each two. Its input is an "embedding"; what is linear in a factorization
// machine is an "embedding_bag" of one unit, and "add" brings them together. Owned by a Network;
// cannot fail.
class FactorizationLayer final : public Layer {
 public:
  static constexpr std::string_view kType = "fm";

  static LayerResult Make(const LayerSpec& spec, std::span<const ValueType> inputs);

  std::string_view type() const override { return kType; }
  const Shape& output() const override { return output_; }
  std::span<const ParameterInfo> parameters() const override { return {}; }
  LayerTraits traits() const override { return {}; }
  void Forward(Backend& backend, const ForwardPass& pass) const override;
  void Backward(Backend& backend, const BackwardPass& pass) const override;

 private:
  const Shape output_{1};
};

}  // namespace shardmill::nn
