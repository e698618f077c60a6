#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string_view>

#include "nn/layer.h"
#include "nn/network_spec.h"

namespace shardmill::nn {

// The keys of layers that only some types have.
enum class LayerKey : uint8_t {
  kUnits,
  kKernel,
  kStride,
  kPadding,
  kGroups,
  kRows,
  kShape,
  kCellOutput,
  kRate,
  kSlope,
  kEpsilon,
  kMomentum,
  kInitial,
  kBias,
  kFrozen,
  kLearningRate,
};

// Some of them. A literal.
class LayerKeys final {
 public:
  constexpr LayerKeys() = default;
  constexpr LayerKeys(std::initializer_list<LayerKey> keys) {
    for (const LayerKey key : keys) bits_ |= BitOf(key);
  }

  constexpr bool Has(LayerKey key) const { return (bits_ & BitOf(key)) != 0; }

 private:
  static constexpr uint32_t BitOf(LayerKey key) {
    return uint32_t{1} << static_cast<uint32_t>(key);
  }

  uint32_t bits_ = 0;
};

// A type of layer: what a job file calls it, how it is made, and which keys it has. Making it may
// refuse the spec or the inputs in words. A literal.
struct LayerType {
  std::string_view name;
  LayerResult (*make)(const LayerSpec& spec, std::span<const ValueType> inputs) = nullptr;
  LayerKeys needs = {};
  LayerKeys takes = {};  // Those that may be left out.
  size_t inputs_min = 1;
  size_t inputs_max = 1;
  ValueKind reads = ValueKind::kFloats;
  bool reads_sparse = false;  // Rows of sparse numbers, too.
  size_t dims = 0;            // How many extents a row of each input has; 0: any.
};

}  // namespace shardmill::nn
