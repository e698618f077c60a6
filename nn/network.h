#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "common/initial.h"
#include "common/result.h"
#include "nn/arena.h"
#include "nn/layer.h"
#include "nn/loss.h"
#include "nn/network_spec.h"

namespace shardmill::nn {

// Layers one after the other and a loss at the end. It owns its layers and the memory of one step,
// but no weights: they are lent for each call, one span a parameter, in the order and of the sizes
// of parameters(). Used by one thread. The same arguments give the same bits, and after the largest
// batch has been seen nothing is allocated. What a batch gets wrong is an error in words; spans
// that do not match parameters() are our own bug.
class Network final {
 public:
  // Refuses what does not fit together, naming the layer.
  static Result<std::unique_ptr<Network>> Make(const NetworkSpec& spec);

  // Of parts that fit: each layer was made for the output of the one before it, the first for
  // `input`, and the loss for the output of the last. At least one layer has parameters.
  Network(const Shape& input, std::vector<std::unique_ptr<Layer>> layers,
          std::unique_ptr<Loss> loss);

  // Named after the layer's place, counted from 1, and its type: "affine_2.weight".
  std::span<const ParameterInfo> parameters() const { return parameters_; }
  const Shape& input() const { return input_; }
  const Shape& output() const;

  // Where training starts: a function of the seed and the parameter's index.
  Initial InitialOf(uint64_t seed, size_t parameter) const;

  // `inputs` holds one input() a label. Fills `gradients` with the mean over the batch and returns
  // its mean loss, or zeros for a batch without rows.
  Result<double> Train(std::span<const float> inputs, std::span<const uint32_t> labels,
                       std::span<const std::span<const float>> parameters,
                       std::span<const std::span<float>> gradients);

  Result<LossSums> Evaluate(std::span<const float> inputs, std::span<const uint32_t> labels,
                            std::span<const std::span<const float>> parameters);

 private:
  struct Place {
    std::unique_ptr<Layer> layer;
    Shape input;
    size_t parameters_begin = 0;  // Where this layer's parameters begin among all.
    ConstTensor read;             // What the layer has read in this step.
  };

  // Words where the batch does not fit this network.
  Result<> CheckBatch(std::span<const float> inputs, std::span<const uint32_t> labels) const;
  void Lend(std::span<const std::span<const float>> parameters);
  ConstTensor Forward(std::span<const float> inputs, uint64_t rows);
  void Backward(Tensor output_gradient);
  std::span<const ConstTensor> ParametersOf(const Place& place) const;

  const Shape input_;
  std::vector<Place> places_;
  const std::unique_ptr<Loss> loss_;
  std::vector<ParameterInfo> parameters_;
  size_t trained_begin_ = 0;             // The first layer with parameters; backward ends there.
  uint64_t gradient_floats_ = 0;         // A row of the widest gradient between two layers.
  std::vector<uint64_t> tensor_floats_;  // A row of each tensor that a step takes from the arena.
  uint64_t rows_max_ = 0;
  Arena arena_;
  std::vector<ConstTensor> lent_parameters_;  // For the call under way, as are the gradients.
  std::vector<Tensor> lent_gradients_;
};

}  // namespace shardmill::nn
