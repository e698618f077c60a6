#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "nn/tensor.h"

namespace shardmill::nn {

// One trained tensor of a layer: "weight", "bias".
struct ParameterInfo {
  std::string name;
  Shape shape;
  float initial_scale = 0;  // Training starts uniform in [-scale, scale].
};

// What a layer's backward pass reads and fills. Each filled tensor is written whole.
struct BackwardPass {
  ConstTensor input;
  ConstTensor output_gradient;
  std::span<const ConstTensor> parameters;
  std::span<const Tensor> parameter_gradients;  // In the order of parameters.
  Tensor input_gradient;                        // Empty where nobody wants it.
};

// One step of a network, made for inputs of one shape. It keeps no state between calls: weights,
// activations and gradients are lent for each, with one tensor a row of the batch along the first
// axis. Owned by a Network. Any thread may call it, since it is never changed. What does not fit
// was refused when the layer was made; a wrong shape later is our own bug.
class Layer {
 public:
  virtual ~Layer() = default;

  // What a job file calls it: "affine".
  virtual std::string_view type() const = 0;
  // The shape of one row of the output.
  virtual const Shape& output() const = 0;
  virtual std::span<const ParameterInfo> parameters() const = 0;

  // The output is the input's floats under another shape, and so are their gradients. A network
  // then hands the memory on and calls neither pass; the passes copy, for who has other memory.
  virtual bool IsView() const = 0;

  virtual void Forward(ConstTensor input, std::span<const ConstTensor> parameters,
                       Tensor output) const = 0;
  virtual void Backward(const BackwardPass& pass) const = 0;
};

}  // namespace shardmill::nn
