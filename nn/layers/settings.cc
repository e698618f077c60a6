#include "nn/layers/settings.h"

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

Result<Initial> WeightsInitial(const LayerSpec& spec, std::string_view otherwise, uint64_t fan_in,
                               uint64_t fan_out) {
  const std::string_view kind = spec.initial.empty() ? otherwise : spec.initial;
  if (kind == "glorot") return Initial::Xavier(fan_in, fan_out, 0);
  if (kind == "he") return Initial::Msra(fan_in, 0);
  if (kind == "zero") return Initial::Constant(0);
  return BadLayer("there is no initial \"" + spec.initial +
                  "\"; there are \"glorot\", \"he\", \"zero\"");
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
