#pragma once

#include <string>

#include "nn/layer.h"
#include "nn/network_spec.h"

// What factories of layers share.
namespace shardmill::nn {

inline Error BadLayer(std::string words) { return {ErrorCode::kBadUsage, std::move(words)}; }

// "3x4" as a shape.
Result<Shape> ParseShape(const std::string& text);

// A row as a picture of height, width and channels.
Result<Shape> PictureOf(const Shape& row);

// The spec's window, with a stride of `stride` where it names none.
Result<Window> WindowOf(const LayerSpec& spec, uint64_t stride);

// How many places the window has in the picture: height and width.
Result<Shape> PlacesOf(const Window& window, const Shape& picture);

// Where weights of so many inputs and outputs start, by the spec's `initial` or else `otherwise`.
Result<Initial> WeightsInitial(const LayerSpec& spec, std::string_view otherwise, uint64_t fan_in,
                               uint64_t fan_out);

// The weights of ids: a row of `units` numbers for each, `rows` of them, or those of a sparse
// table.
Result<ParameterInfo> RowsWeight(const LayerSpec& spec);

// A trained tensor at the spec's learning rate.
ParameterInfo Weight(const LayerSpec& spec, std::string name, const Shape& shape, Initial initial);
ParameterInfo Bias(const LayerSpec& spec, std::string name, const Shape& shape, float value = 0);

}  // namespace shardmill::nn
