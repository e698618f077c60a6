#pragma once

#include <cstddef>
#include <span>
#include <string_view>

#include "nn/layer.h"
#include "nn/network_spec.h"

namespace shardmill::nn {

// A type of layer: what a job file calls it, how it is made, and which keys it has. Making it may
// refuse the spec or the inputs in words. A literal.
struct LayerType {
  std::string_view name;
  LayerResult (*make)(const LayerSpec& spec, std::span<const ValueType> inputs) = nullptr;
  std::string_view needs = {};  // Keys, each between spaces.
  std::string_view takes = {};  // The same, of those that may be left out.
  size_t inputs_min = 1;
  size_t inputs_max = 1;
  ValueKind reads = ValueKind::kFloats;
  bool reads_sparse = false;  // Rows of sparse numbers, too.
  size_t dims = 0;            // How many extents a row of each input has; 0: any.
};

}  // namespace shardmill::nn
