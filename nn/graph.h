#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "common/result.h"
#include "nn/layer.h"
#include "nn/network_spec.h"

namespace shardmill::nn {

// How a layer's gradient reaches one of its inputs.
enum class GradientWay : uint8_t {
  kNone,   // Nobody wants it.
  kWrite,  // It is the first: written where the input's gradient lies.
  kOver,   // The same, and that lies over the output's gradient.
  kAdd,    // Others came before: written aside, then added.
};

// Something that layers read: an input of the network, or what a layer made.
struct GraphValue {
  std::string name;
  ValueType type;
  uint32_t readers = 0;
  uint64_t index_limit = UINT64_MAX;  // Ids must be below it.
  // Whose memory it lies in: its own, or that of a value before it.
  uint32_t home = 0;
  bool wants_gradient = false;
};

// A layer in its place.
struct GraphNode {
  std::string name;
  std::unique_ptr<Layer> layer;
  std::vector<uint32_t> inputs;  // Values.
  std::vector<GradientWay> ways;
  uint32_t output = 0;
  size_t parameters_begin = 0;  // Where its parameters begin among all.
  bool passes = false;          // Hands its input on: a view, or done by the layer before it.
  bool trains = false;          // It or something before it is trained.
};

// Layers and what they read, in an order in which each comes after all that it reads. The values
// are first the network's inputs and then each layer's output. A value made once and then only
// read; owned by a Network.
struct Graph {
  size_t inputs = 0;
  std::vector<GraphValue> values;
  std::vector<GraphNode> nodes;
  std::vector<ParameterInfo> parameters;  // "affine_2.weight".

  const GraphValue& output() const { return values.back(); }
};

// Refuses what does not fit together, naming the layer. Lets layers absorb activations, and decides
// who lies over whom.
Result<Graph> MakeGraph(const NetworkSpec& spec);

}  // namespace shardmill::nn
