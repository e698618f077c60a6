#pragma once

#include <array>
#include <cstdint>

#include "nn/layer.h"

namespace shardmill::nn {

// output = input weight + bias, with weight [inputs, units] and bias [units]: every unit sees every
// input. Weights start uniform as Glorot and Bengio propose (variance kept both ways), biases at
// zero. Owned by a Network; any thread; cannot fail.
class Affine final : public Layer {
 public:
  static constexpr std::string_view kType = "affine";

  Affine(uint64_t inputs, uint64_t units);

  std::string_view type() const override { return kType; }
  const Shape& output() const override { return output_; }
  std::span<const ParameterInfo> parameters() const override { return parameters_; }
  bool IsView() const override { return false; }
  void Forward(ConstTensor input, std::span<const ConstTensor> parameters,
               Tensor output) const override;
  void Backward(const BackwardPass& pass) const override;

 private:
  const Shape output_;
  const std::array<ParameterInfo, 2> parameters_;
};

}  // namespace shardmill::nn
