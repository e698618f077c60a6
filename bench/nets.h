#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "nn/network_spec.h"

namespace shardmill::bench {

// What is trained in benchmarks. The same nets are in bench/torch_nets.py.
struct Net {
  nn::Shape input;  // One row.
  std::vector<nn::LayerSpec> layers;
  uint32_t classes = 0;
};

// No layers: there is no net of that name.
Net NetNamed(const std::string& name);

}  // namespace shardmill::bench
