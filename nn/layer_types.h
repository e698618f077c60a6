#pragma once

#include <span>

#include "common/result.h"
#include "nn/layer.h"
#include "nn/network_spec.h"

namespace shardmill::nn {

// The layer for inputs of those types, or words on why there is none.
LayerResult MakeLayer(const LayerSpec& spec, std::span<const ValueType> inputs);

}  // namespace shardmill::nn
