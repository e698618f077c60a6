#include "nn/layers/settings.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>
#include <vector>

namespace shardmill::nn {

Result<Shape> ParseShape(const std::string& text) {
  std::vector<uint64_t> dims;
  const char* at = text.data();
  const char* const end = at + text.size();
  while (dims.size() <= Shape::kDimsMax) {
    const auto [rest, error] = std::from_chars(at, end, dims.emplace_back());
    if (error != std::errc() || dims.back() == 0) break;
    if (rest == end) return Shape::Make(dims);
    if (*rest != 'x') break;
    at = rest + 1;
  }
  return BadLayer("its shape is \"" + text + "\"; write extents such as \"28x28x1\"");
}

Result<Shape> PictureOf(const Shape& row) {
  if (row.dims() == 3) return row;
  if (row.dims() == 2) return Shape{row.dim(0), row.dim(1), 1};
  return BadLayer("it reads pictures of height, width and channels, but its input is " +
                  row.ToString() + ": put a \"reshape\" layer before it");
}

Result<Window> WindowOf(const LayerSpec& spec, uint64_t stride) {
  constexpr uint64_t kEdgeMax = 1 << 16;
  const uint64_t step = spec.stride == 0 ? stride : spec.stride;
  const uint64_t padding = spec.padding.value_or(0);
  if (spec.kernel > kEdgeMax || step > kEdgeMax) {
    return BadLayer("its kernel and its stride are at most " + std::to_string(kEdgeMax));
  }
  if (padding >= spec.kernel) {
    return BadLayer("its padding of " + std::to_string(padding) + " must be below its kernel of " +
                    std::to_string(spec.kernel));
  }
  const auto edge = static_cast<uint32_t>(spec.kernel);
  return Window{edge, edge, static_cast<uint32_t>(step), static_cast<uint32_t>(padding)};
}

Result<Shape> PlacesOf(const Window& window, const Shape& picture) {
  const uint64_t height = picture.dim(0) + 2 * uint64_t{window.padding};
  const uint64_t width = picture.dim(1) + 2 * uint64_t{window.padding};
  if (height < window.height || width < window.width) {
    return BadLayer("its kernel of " + std::to_string(window.height) +
                    " does not fit into its input of " + picture.ToString());
  }
  return Shape{(height - window.height) / window.stride + 1,
               (width - window.width) / window.stride + 1};
}

Result<Initial> WeightsInitial(const LayerSpec& spec, std::string_view otherwise, uint64_t fan_in,
                               uint64_t fan_out) {
  const std::string_view kind = spec.initial.empty() ? otherwise : spec.initial;
  if (kind == "glorot") return Initial::Xavier(fan_in, fan_out, 0);
  if (kind == "he") return Initial::Msra(fan_in, 0);
  if (kind == "zero") return Initial::Constant(0);
  return BadLayer("there is no initial \"" + spec.initial +
                  "\"; there are \"glorot\", \"he\", \"zero\"");
}

Result<ParameterInfo> RowsWeight(const LayerSpec& spec) {
  // How many ids a row has is not known, which other initials go by.
  constexpr float kInitialScale = 0.05F;
  if (spec.rows > UINT32_MAX) return BadLayer("it has at most 4294967295 rows");
  const std::array<uint64_t, 2> dims{std::max<uint64_t>(spec.rows, 1), spec.units};
  const Shape whole = SM_TRY(Shape::Make(dims));
  const Shape shape = spec.rows == 0 ? Shape{0, spec.units} : whole;
  Initial initial = Initial::Uniform(kInitialScale, 0);
  if (!spec.initial.empty()) {
    initial = SM_TRY(WeightsInitial(spec, spec.initial, spec.units, spec.units));
  }
  return Weight(spec, "weight", shape, initial);
}

ParameterInfo Weight(const LayerSpec& spec, std::string name, const Shape& shape, Initial initial) {
  const float rate = spec.frozen ? 0.0F : static_cast<float>(spec.learning_rate);
  return {std::move(name), shape, initial, Role::kTrained, rate, true};
}

ParameterInfo Bias(const LayerSpec& spec, std::string name, const Shape& shape, float value) {
  const float rate = spec.frozen ? 0.0F : static_cast<float>(spec.learning_rate);
  return {std::move(name), shape, Initial::Constant(value), Role::kTrained, rate, false};
}

}  // namespace shardmill::nn
