#include "nn/layer_types.h"

#include <algorithm>
#include <array>
#include <initializer_list>
#include <string>

#include "nn/layers/affine.h"
#include "nn/layers/convolution.h"
#include "nn/layers/dropout.h"
#include "nn/layers/elementwise.h"
#include "nn/layers/embedding.h"
#include "nn/layers/factorization.h"
#include "nn/layers/merge.h"
#include "nn/layers/normalization.h"
#include "nn/layers/pooling.h"
#include "nn/layers/recurrent.h"
#include "nn/layers/reshape.h"
#include "nn/layers/settings.h"
#include "nn/layers/softmax.h"

namespace shardmill::nn {
namespace {

using enum LayerKey;

// A key of a layer, what a job file calls it, and whether the spec gives it.
struct Key {
  LayerKey key;
  std::string_view name;
  bool (*given)(const LayerSpec& spec);
};

constexpr std::array kKeys{
    Key{kUnits, "units", [](const LayerSpec& spec) { return spec.units != 0; }},
    Key{kKernel, "kernel", [](const LayerSpec& spec) { return spec.kernel != 0; }},
    Key{kStride, "stride", [](const LayerSpec& spec) { return spec.stride != 0; }},
    Key{kPadding, "padding", [](const LayerSpec& spec) { return spec.padding.has_value(); }},
    Key{kGroups, "groups", [](const LayerSpec& spec) { return spec.groups != 0; }},
    Key{kRows, "rows", [](const LayerSpec& spec) { return spec.rows != 0; }},
    Key{kShape, "shape", [](const LayerSpec& spec) { return !spec.shape.empty(); }},
    Key{kCellOutput, "cell_output",
        [](const LayerSpec& spec) { return !spec.cell_output.empty(); }},
    Key{kRate, "rate", [](const LayerSpec& spec) { return spec.rate.has_value(); }},
    Key{kSlope, "slope", [](const LayerSpec& spec) { return spec.slope.has_value(); }},
    Key{kEpsilon, "epsilon", [](const LayerSpec& spec) { return spec.epsilon.has_value(); }},
    Key{kMomentum, "momentum", [](const LayerSpec& spec) { return spec.momentum.has_value(); }},
    Key{kInitial, "initial", [](const LayerSpec& spec) { return !spec.initial.empty(); }},
    Key{kBias, "bias", [](const LayerSpec& spec) { return spec.no_bias; }},
    Key{kFrozen, "frozen", [](const LayerSpec& spec) { return spec.frozen; }},
    Key{kLearningRate, "learning_rate",
        [](const LayerSpec& spec) { return spec.learning_rate != 1; }},
};

constexpr LayerKeys kAffine{kInitial, kBias, kRows, kFrozen, kLearningRate};
constexpr LayerKeys kConvolution{kStride, kPadding, kGroups,      kInitial,
                                 kBias,   kFrozen,  kLearningRate};
constexpr LayerKeys kPooling{kStride, kPadding};
constexpr LayerKeys kBatchNorm{kEpsilon, kMomentum, kFrozen, kLearningRate};
constexpr LayerKeys kEmbedding{kRows, kInitial, kFrozen, kLearningRate};
constexpr LayerKeys kRecurrent{kCellOutput, kInitial, kFrozen, kLearningRate};
constexpr size_t kManyInputs = 1024;

constexpr std::array kLayerTypes{
    LayerType{"flatten", Reshape::Make, {}, {}},
    LayerType{"reshape", Reshape::Make, {kShape}, {}},
    LayerType{"affine", Affine::Make, {kUnits}, kAffine, 1, 1, ValueKind::kFloats, true, 1},
    LayerType{"relu", ElementwiseLayer::Make, {}, {}},
    LayerType{"leaky_relu", ElementwiseLayer::Make, {}, {kSlope}},
    LayerType{"elu", ElementwiseLayer::Make, {}, {kSlope}},
    LayerType{"selu", ElementwiseLayer::Make, {}, {}},
    LayerType{"gelu", ElementwiseLayer::Make, {}, {}},
    LayerType{"silu", ElementwiseLayer::Make, {}, {}},
    LayerType{"sigmoid", ElementwiseLayer::Make, {}, {}},
    LayerType{"tanh", ElementwiseLayer::Make, {}, {}},
    LayerType{"softmax", SoftmaxLayer::Make, {}, {}},
    LayerType{"dropout", DropoutLayer::Make, {kRate}, {}},
    LayerType{"conv2d", ConvolutionLayer::Make, {kUnits, kKernel}, kConvolution},
    LayerType{"max_pool", PoolingLayer::Make, {kKernel}, kPooling},
    LayerType{"average_pool", PoolingLayer::Make, {kKernel}, kPooling},
    LayerType{"global_max_pool", PoolingLayer::Make, {}, {}},
    LayerType{"global_average_pool", PoolingLayer::Make, {}, {}},
    LayerType{.name = "batch_norm1d", .make = BatchNormLayer::Make, .takes = kBatchNorm, .dims = 1},
    LayerType{.name = "batch_norm2d", .make = BatchNormLayer::Make, .takes = kBatchNorm, .dims = 3},
    LayerType{"layer_norm", LayerNormLayer::Make, {}, {kEpsilon, kFrozen, kLearningRate}},
    LayerType{
        "rnn", RecurrentLayer::Make, {kUnits}, kRecurrent, 1, 1, ValueKind::kFloats, false, 2},
    LayerType{
        "lstm", RecurrentLayer::Make, {kUnits}, kRecurrent, 1, 1, ValueKind::kFloats, false, 2},
    LayerType{"add", MergeLayer::Make, {}, {}, 2, kManyInputs},
    LayerType{"multiply", MergeLayer::Make, {}, {}, 2, 2},
    LayerType{"concat", MergeLayer::Make, {}, {}, 2, kManyInputs},
    LayerType{"embedding", EmbeddingLayer::Make, {kUnits}, kEmbedding, 1, 1, ValueKind::kIndices},
    LayerType{"embedding_bag",
              EmbeddingLayer::Make,
              {kUnits},
              kEmbedding,
              1,
              1,
              ValueKind::kIndices,
              true},
    LayerType{"fm", FactorizationLayer::Make, {}, {}},
};

Result<> CheckKeys(const LayerSpec& spec, const LayerType& type) {
  for (const Key& key : kKeys) {
    const bool given = key.given(spec);
    const bool needed = type.needs.Has(key.key);
    if (needed && !given) {
      return BadLayer("it needs " + std::string(key.name) +
                      (key.name == "units" ? ", a whole number of at least 1" : ""));
    }
    if (given && !needed && !type.takes.Has(key.key)) {
      return BadLayer("it takes no " + std::string(key.name));
    }
  }
  return {};
}

Result<> CheckDims(const LayerType& type, const Shape& row) {
  if (type.dims == 0 || row.dims() == type.dims) return {};
  const std::array<std::string, Shape::kDimsMax> reads{"vectors", "sequences of vectors",
                                                       "pictures of height, width and channels",
                                                       "rows of 4 extents"};
  return BadLayer("it reads " + reads.at(type.dims - 1) + ", but its input is " + row.ToString() +
                  (type.dims == 1 ? ": put a \"flatten\" layer before it"
                                  : ": put a \"reshape\" layer before it"));
}

Result<> CheckInputs(const LayerType& type, std::span<const ValueType> inputs) {
  if (inputs.size() < type.inputs_min || inputs.size() > type.inputs_max) {
    const std::string wanted = type.inputs_max == 1 ? "one input"
                               : type.inputs_max == type.inputs_min
                                   ? std::to_string(type.inputs_min) + " inputs"
                                   : std::to_string(type.inputs_min) + " inputs or more";
    return BadLayer("it reads " + wanted + ", not " + std::to_string(inputs.size()));
  }
  for (const ValueType& input : inputs) {
    if (input.kind == type.reads) {
      SM_TRY(CheckDims(type, input.row));
      continue;
    }
    if (input.kind == ValueKind::kSparse && type.reads_sparse) continue;
    const std::string reads =
        type.reads == ValueKind::kFloats ? "it reads numbers" : "it reads ids";
    switch (input.kind) {
      case ValueKind::kFloats:
        return BadLayer(reads + ", but its input is numbers");
      case ValueKind::kIndices:
        return BadLayer(reads + ", but its input is ids: put an \"embedding\" before it");
      case ValueKind::kSparse:
        return BadLayer(
            reads + ", but its input is sparse rows, which \"affine\" and \"embedding_bag\" read");
    }
  }
  return {};
}

}  // namespace

std::string_view NameOf(LayerKey key) { return std::ranges::find(kKeys, key, &Key::key)->name; }

std::span<const LayerType> LayerTypes() { return kLayerTypes; }

LayerResult MakeLayer(const LayerSpec& spec, std::span<const ValueType> inputs,
                      std::span<const LayerType> own) {
  std::string names;
  for (const std::span<const LayerType> types : {own, LayerTypes()}) {
    for (const LayerType& type : types) {
      names += (names.empty() ? "\"" : ", \"") + std::string(type.name) + '"';
      if (type.name != spec.type) continue;
      SM_TRY(CheckKeys(spec, type));
      SM_TRY(CheckInputs(type, inputs));
      return type.make(spec, inputs);
    }
  }
  return BadLayer("there is no such type; there are " + names);
}

}  // namespace shardmill::nn
