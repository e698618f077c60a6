#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "common/result.h"
#include "nn/layer.h"
#include "nn/loss.h"
#include "nn/shape.h"

namespace shardmill::nn {

// A layer as a job file describes it.
struct LayerSpec {
  std::string type;    // "flatten" or "affine".
  uint64_t units = 0;  // How many outputs, for the types that ask for it; 0: not said.
};

// A network as a job file describes it: layers one after the other. The size of each layer's input
// is inferred from the one before it.
struct NetworkSpec {
  Shape input;  // One row of the data set.
  std::vector<LayerSpec> layers;
  std::string loss;  // "softmax_cross_entropy".
};

// The layer for inputs of that shape, or words on why there is none.
Result<std::unique_ptr<Layer>> MakeLayer(const LayerSpec& spec, const Shape& input);

// The loss for a network whose output is of that shape.
Result<std::unique_ptr<Loss>> MakeLoss(const std::string& name, const Shape& output);

}  // namespace shardmill::nn
