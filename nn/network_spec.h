#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "nn/layer.h"
#include "nn/shape.h"

namespace shardmill::nn {

// A layer as a job file describes it. What is not said has the default of its type.
struct LayerSpec {
  std::string type;
  uint64_t units = 0;                    // How many outputs or channels; 0: not said.
  std::string name = {};                 // Else its type and its place, "affine_2".
  std::vector<std::string> inputs = {};  // Names of layers or inputs; else the layer before it.
  uint64_t kernel = 0;                   // Edge of a window.
  uint64_t stride = 0;
  std::optional<uint64_t> padding = {};
  uint64_t groups = 0;
  uint64_t rows = 0;                // Of an embedding.
  std::string shape = {};           // "7x7x32".
  std::string cell_output = {};     // "last" or "all", of what recurs.
  std::optional<double> rate = {};  // Of dropout.
  std::optional<double> slope = {};
  std::optional<double> epsilon = {};
  std::optional<double> momentum = {};
  std::string initial = {};  // "glorot", "he" or "zero".
  bool no_bias = false;
  bool frozen = false;
  double learning_rate = 1;  // Factor of the job's.
};

// What the data set gives.
struct InputSpec {
  std::string name;
  ValueType type;
};

struct OwnTypes;

// Whether what layers make is made again for the way back of a step instead of kept for it.
enum class Recompute : uint8_t {
  kNever,
  kAuto,    // As much of it as a step needs to fit.
  kAlways,  // Whatever makes a step smaller.
};

// A network as a job file describes it. The size of each layer's input is inferred.
struct NetworkSpec {
  Shape input;  // One row of the data set, where it is one input, called "input".
  std::vector<LayerSpec> layers;
  std::string loss;
  std::vector<InputSpec> inputs = {};  // Where there are several.
  double l1 = 0;                       // Regularizers of weights.
  double l2 = 0;
  const OwnTypes* own = nullptr;  // Of the job's library, where it names one.
  bool half_gradients = false;    // They leave a device with 16 bits a number.
  Recompute recompute = Recompute::kAuto;
  uint64_t memory_max = UINT64_MAX;  // Bytes of a step's block.
};

}  // namespace shardmill::nn
