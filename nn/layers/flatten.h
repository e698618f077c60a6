#pragma once

#include "nn/layer.h"

namespace shardmill::nn {

// A row of any shape seen as one long vector. In a network it costs nothing: the memory is
// handed on. Owned by a Network; any thread; cannot fail.
class Flatten final : public Layer {
 public:
  static constexpr std::string_view kType = "flatten";

  explicit Flatten(const Shape& input) : output_({input.size()}) {}

  std::string_view type() const override { return kType; }
  const Shape& output() const override { return output_; }
  std::span<const ParameterInfo> parameters() const override { return {}; }
  bool IsView() const override { return true; }
  void Forward(ConstTensor input, std::span<const ConstTensor> parameters,
               Tensor output) const override;
  void Backward(const BackwardPass& pass) const override;

 private:
  const Shape output_;
};

}  // namespace shardmill::nn
