#pragma once

#include <span>

#include "nn/layer.h"
#include "nn/layer_type.h"

namespace shardmill::nn {

// All of the library.
std::span<const LayerType> LayerTypes();
// What a job file calls it.
std::string_view NameOf(LayerKey key);

// The layer for inputs of those types, one of the library or of `own`, or words on why there is
// none.
LayerResult MakeLayer(const LayerSpec& spec, std::span<const ValueType> inputs,
                      std::span<const LayerType> own = {});

}  // namespace shardmill::nn
