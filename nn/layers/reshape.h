#pragma once

#include "nn/layer.h"
#include "nn/network_spec.h"

namespace shardmill::nn {

// A row seen under another shape: as one long vector ("flatten"), or as the job says ("reshape").
// In a network it costs nothing: the memory is handed on. Owned by a Network; cannot fail.
class Reshape final : public Layer {
 public:
  static constexpr std::string_view kType = "reshape";
  static constexpr std::string_view kFlatten = "flatten";

  static LayerResult Make(const LayerSpec& spec, std::span<const ValueType> inputs);

  std::string_view type() const override { return type_; }
  const Shape& output() const override { return output_; }
  std::span<const ParameterInfo> parameters() const override { return {}; }
  LayerTraits traits() const override { return {.view = true, .reads_inputs = false}; }
  void Forward(Backend& backend, const ForwardPass& pass) const override;
  void Backward(Backend& backend, const BackwardPass& pass) const override;

 private:
  Reshape(std::string_view type, const Shape& output) : type_(type), output_(output) {}

  const std::string_view type_;
  const Shape output_;
};

}  // namespace shardmill::nn
