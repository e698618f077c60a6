#pragma once

#include <array>

#include "nn/layer.h"
#include "nn/network_spec.h"

namespace shardmill::nn {

// "embedding": for each id of a row a vector of `units` numbers, a row of its weights; and
// "embedding_bag": the sum of those vectors, each times its number where the row is of sparse
// numbers. Ids count rows of what is lent as weights: a whole table, or the rows of a sparse one
// that a batch names, once each. The gradient is as long, with zeros where no id points. Without
// `rows` the table is sparse. Owned by a Network; cannot fail.
class EmbeddingLayer final : public Layer {
 public:
  static LayerResult Make(const LayerSpec& spec, std::span<const ValueType> inputs);

  std::string_view type() const override { return bag_ ? "embedding_bag" : "embedding"; }
  const Shape& output() const override { return output_; }
  std::span<const ParameterInfo> parameters() const override { return parameters_; }
  LayerTraits traits() const override { return {}; }
  uint64_t IndexLimit() const override { return rows_ == 0 ? UINT64_MAX : rows_; }
  void Forward(Backend& backend, const ForwardPass& pass) const override;
  void Backward(Backend& backend, const BackwardPass& pass) const override;

 private:
  EmbeddingLayer(bool bag, const Shape& output, const ParameterInfo& weight)
      : bag_(bag), rows_(weight.shape.dim(0)), output_(output), parameters_{weight} {}

  // What a bag sums up.
  static SparseRows BagsOf(const Value& input);

  const bool bag_;
  const uint64_t rows_;  // 0: of a sparse table, those that are lent.
  const Shape output_;
  const std::array<ParameterInfo, 1> parameters_;
};

}  // namespace shardmill::nn
