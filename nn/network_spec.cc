#include "nn/network_spec.h"

#include <array>
#include <span>
#include <string_view>

#include "nn/layers/affine.h"
#include "nn/layers/flatten.h"
#include "nn/losses/softmax_cross_entropy.h"

namespace shardmill::nn {
namespace {

using LayerResult = Result<std::unique_ptr<Layer>>;

struct LayerType {
  std::string_view name;
  bool takes_units;
  LayerResult (*make)(const LayerSpec& spec, const Shape& input);
};

LayerResult MakeFlatten(const LayerSpec&, const Shape& input) {
  return std::unique_ptr<Layer>(std::make_unique<Flatten>(input));
}

LayerResult MakeAffine(const LayerSpec& spec, const Shape& input) {
  if (input.dims() != 1) {
    return Error{ErrorCode::kBadUsage, "it reads vectors, but its input is " + input.ToString() +
                                           ": put a \"flatten\" layer before it"};
  }
  const std::array<uint64_t, 2> weight{input.size(), spec.units};
  SM_TRY(Shape::Make(weight));
  return std::unique_ptr<Layer>(std::make_unique<Affine>(input.size(), spec.units));
}

constexpr std::array kLayerTypes{
    LayerType{Flatten::kType, false, MakeFlatten},
    LayerType{Affine::kType, true, MakeAffine},
};

constexpr std::string_view kSoftmaxCrossEntropy = "softmax_cross_entropy";

}  // namespace

LayerResult MakeLayer(const LayerSpec& spec, const Shape& input) {
  std::string names;
  for (const LayerType& type : kLayerTypes) {
    names += names.empty() ? "" : ", ";
    names += '"' + std::string(type.name) + '"';
    if (type.name != spec.type) continue;
    if (type.takes_units && spec.units == 0) {
      return Error{ErrorCode::kBadUsage, "it needs units, a whole number of at least 1"};
    }
    if (!type.takes_units && spec.units != 0) {
      return Error{ErrorCode::kBadUsage, "it takes no units"};
    }
    return type.make(spec, input);
  }
  return Error{ErrorCode::kBadUsage, "there is no such type; there are " + names};
}

Result<std::unique_ptr<Loss>> MakeLoss(const std::string& name, const Shape& output) {
  if (name != kSoftmaxCrossEntropy) {
    return Error{ErrorCode::kBadUsage, "there is no loss \"" + name + "\"; there is \"" +
                                           std::string(kSoftmaxCrossEntropy) + "\""};
  }
  if (output.dims() != 1 || output.size() < 2) {
    return Error{ErrorCode::kBadUsage,
                 "the loss \"" + name + "\" reads one number a class, for two classes or more, " +
                     "but the last layer gives " + output.ToString()};
  }
  return std::unique_ptr<Loss>(std::make_unique<SoftmaxCrossEntropy>(output.size()));
}

}  // namespace shardmill::nn
