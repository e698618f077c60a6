#pragma once

#include <array>

#include "nn/layer.h"
#include "nn/network_spec.h"

namespace shardmill::nn {

// "rnn" (of tanh) and "lstm": a row is a sequence [times, numbers], and the output what the cell
// shows at each time, or with cell_output = "last" (as when nothing is said) at the last. The gates
// of lstm are input, forget, candidate and output. Owned by a Network; cannot fail.
class RecurrentLayer final : public Layer {
 public:
  static LayerResult Make(const LayerSpec& spec, std::span<const ValueType> inputs);

  std::string_view type() const override;
  const Shape& output() const override { return output_; }
  std::span<const ParameterInfo> parameters() const override { return parameters_; }
  LayerTraits traits() const override { return {.reads_output = true}; }
  SavedSize Saved(Backend& backend) const override;
  uint64_t Work() const override {
    return times_ * (parameters_[0].shape.size() + parameters_[1].shape.size());
  }
  void Forward(Backend& backend, const ForwardPass& pass) const override;
  void Backward(Backend& backend, const BackwardPass& pass) const override;

 private:
  RecurrentLayer(RecurrentCell cell, bool last, uint64_t times, uint64_t units,
                 std::array<ParameterInfo, 3> parameters);

  // What was saved: the backend's part, and with `last` all outputs and the gradients by them.
  struct Kept {
    Tensor cell;
    Tensor outputs;
    Tensor gradients;
  };
  Kept KeptIn(std::span<float> saved, uint64_t rows) const;

  const RecurrentCell cell_;
  const bool last_;
  const uint64_t times_;
  const uint64_t units_;
  const Shape output_;
  const std::array<ParameterInfo, 3> parameters_;
};

}  // namespace shardmill::nn
