#pragma once

#include <vector>

#include "nn/layer.h"
#include "nn/network_spec.h"

namespace shardmill::nn {

// output = input weight + bias, with weight [inputs, units] and bias [units]: every unit sees every
// input. Weights start uniform as Glorot and Bengio propose (variance kept both ways), biases at
// zero. An input of sparse rows stays sparse both ways: its ids name rows of the weight as those of
// an embedding do, of a sparse table or of `rows` of them. Owned by a Network; cannot fail.
class Affine final : public Layer {
 public:
  static constexpr std::string_view kType = "affine";

  static LayerResult Make(const LayerSpec& spec, std::span<const ValueType> inputs);

  std::string_view type() const override { return kType; }
  const Shape& output() const override { return output_; }
  std::span<const ParameterInfo> parameters() const override { return parameters_; }
  LayerTraits traits() const override;
  uint64_t Work() const override;
  uint64_t IndexLimit() const override;
  bool Absorb(const Elementwise& after) override;
  void Forward(Backend& backend, const ForwardPass& pass) const override;
  void Backward(Backend& backend, const BackwardPass& pass) const override;

 private:
  Affine(const Shape& output, std::vector<ParameterInfo> parameters, bool sparse);

  const Shape output_;
  const std::vector<ParameterInfo> parameters_;
  const bool sparse_;  // The input.
  Elementwise after_;
};

}  // namespace shardmill::nn
