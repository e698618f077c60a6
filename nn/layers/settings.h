#pragma once

#include <string>

#include "nn/layer.h"
#include "nn/network_spec.h"

// What factories of layers share.
namespace shardmill::nn {

inline Error BadLayer(std::string words) { return {ErrorCode::kBadUsage, std::move(words)}; }

// "3x4" as a shape.
Result<Shape> ParseShape(const std::string& text);

// Where weights of so many inputs and outputs start, by the spec's `initial` or else `otherwise`.
Result<Initial> WeightsInitial(const LayerSpec& spec, std::string_view otherwise, uint64_t fan_in,
                               uint64_t fan_out);

// A trained tensor at the spec's learning rate.
ParameterInfo Weight(const LayerSpec& spec, std::string name, const Shape& shape, Initial initial);
ParameterInfo Bias(const LayerSpec& spec, std::string name, const Shape& shape, float value = 0);

}  // namespace shardmill::nn
