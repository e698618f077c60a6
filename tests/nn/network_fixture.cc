#include "tests/nn/network_fixture.h"

#include <algorithm>

#include "common/rng.h"
#include "tests/nn/gradient_check.h"

namespace shardmill::nn {

NetworkFixture::NetworkFixture(const NetworkSpec& spec, bool on_host)
    : processor_(on_host), network_(std::move(Network::Make(spec, processor_)).value()) {
  MakeParameters();
}

NetworkFixture::NetworkFixture(const NetworkSpec& spec, Backend& backend)
    : network_(std::move(Network::Make(spec, backend)).value()) {
  MakeParameters();
}

void NetworkFixture::MakeParameters() {
  for (const ParameterInfo& info : network_->parameters()) {
    parameters_.push_back(RandomFloats(100 + parameters_.size(), info.shape.size()));
    // A running variance is above zero.
    if (info.role == Role::kStatistic) {
      for (float& value : parameters_.back()) value = 1.5F + 0.5F * value;
    }
    gradients_.emplace_back(info.shape.size(), 99.0F);
  }
  for (size_t i = 0; i < parameters_.size(); ++i) {
    lent_parameters_.emplace_back(parameters_[i]);
    lent_gradients_.emplace_back(gradients_[i]);
  }
}

void NetworkFixture::MakeBatch(uint64_t rows, uint64_t seed) {
  Rng rng(3 + seed);
  numbers_.clear();
  ids_.clear();
  ends_.clear();
  for (const GraphValue& input : network_->inputs()) {
    const ValueKind kind = input.type.kind;
    uint64_t size = rows * input.type.row.size();
    std::vector<uint64_t>& ends = ends_.emplace_back();
    if (kind == ValueKind::kSparse) {
      size = 0;
      for (uint64_t row = 0; row < rows; ++row) ends.push_back(size += row % 3);
    }
    numbers_.push_back(
        RandomFloats(10 + numbers_.size() + 100 * seed, kind == ValueKind::kIndices ? 0 : size));
    ids_.emplace_back(kind == ValueKind::kFloats ? 0 : size);
    for (uint32_t& id : ids_.back()) id = static_cast<uint32_t>(rng.Below(input.index_limit));
  }
  labels_.resize(rows);
  for (uint32_t& label : labels_) label = static_cast<uint32_t>(rng.Below(2));
  inputs_.resize(numbers_.size());
}

Samples NetworkFixture::Batch(uint64_t rows) {
  for (size_t i = 0; i < inputs_.size(); ++i) {
    const ValueType& type = network_->inputs()[i].type;
    uint64_t size = rows * type.row.size();
    if (type.kind == ValueKind::kSparse) {
      inputs_[i].ends = std::span<const uint64_t>(ends_[i]).first(rows);
      size = rows == 0 ? 0 : ends_[i][rows - 1];
    }
    const bool floats = type.kind != ValueKind::kIndices;
    const bool ids = type.kind != ValueKind::kFloats;
    inputs_[i].floats = std::span<const float>(numbers_[i]).first(floats ? size : 0);
    inputs_[i].ids = std::span<const uint32_t>(ids_[i]).first(ids ? size : 0);
  }
  return {.inputs = inputs_,
          .targets = {.labels = std::span<const uint32_t>(labels_).first(rows), .values = {}},
          .rows = rows,
          .chance = chance_};
}

Result<double> NetworkFixture::Train(uint64_t rows, ParameterFlow* flow) {
  return network_->Train(Batch(rows), lent_parameters_, lent_gradients_, flow);
}

Result<LossSums> NetworkFixture::Evaluate(uint64_t rows) {
  return network_->Evaluate(Batch(rows), lent_parameters_);
}

Result<std::span<const float>> NetworkFixture::Predict(uint64_t rows) {
  return network_->Predict(Batch(rows), lent_parameters_);
}

double NetworkFixture::GreatestError(uint64_t rows) {
  constexpr float kStep = 0.015625F;
  static_cast<void>(Train(rows).value());
  const std::vector<std::vector<float>> found = gradients_;
  double error = 0;
  for (size_t index = 0; index < parameters_.size(); ++index) {
    const ParameterInfo& info = network_->parameters()[index];
    if (info.role == Role::kStatistic || info.rate == 0) continue;
    std::vector<double> want;
    for (float& number : parameters_[index]) {
      const float at = number;
      const auto loss = [&](float steps) {
        number = at + steps * kStep;
        return Train(rows).value();
      };
      const double near = loss(1) - loss(-1);
      const double far = loss(2) - loss(-2);
      number = at;
      want.push_back((8 * near - far) / (12 * static_cast<double>(kStep)));
    }
    error = std::max(error, MaxDifference(found[index], want));
  }
  return error;
}

NetworkSpec ManyLayersSpec() {
  NetworkSpec spec;
  spec.loss = "softmax_cross_entropy";
  spec.l2 = 0.01;
  spec.inputs = {{"picture", {ValueKind::kFloats, {8, 8}}},
                 {"ids", {ValueKind::kIndices, {3}}},
                 {"words", {ValueKind::kSparse, {1}}}};
  spec.layers = {
      {.type = "conv2d",
       .units = 4,
       .name = "first",
       .inputs = {"picture"},
       .kernel = 3,
       .padding = 1},
      {.type = "tanh", .name = "root"},
      {.type = "conv2d", .units = 4, .kernel = 3, .padding = 1},
      {.type = "batch_norm2d", .name = "norm"},
      {.type = "silu"},
      {.type = "conv2d", .units = 4, .name = "branch", .kernel = 3, .padding = 1, .groups = 4},
      {.type = "add", .name = "joined", .inputs = {"branch", "root"}},
      {.type = "sigmoid"},
      {.type = "average_pool", .kernel = 2},
      {.type = "reshape", .name = "sequence", .shape = "4x16"},
      {.type = "lstm", .units = 5, .name = "recurrent"},
      {.type = "rnn", .units = 5, .name = "other", .inputs = {"sequence"}},
      {.type = "multiply", .name = "product", .inputs = {"recurrent", "other"}},
      {.type = "embedding", .units = 2, .name = "vectors", .inputs = {"ids"}, .rows = 7},
      {.type = "flatten", .name = "flat"},
      {.type = "fm", .name = "pairs", .inputs = {"vectors"}},
      {.type = "embedding_bag", .units = 2, .name = "bag", .inputs = {"ids"}, .rows = 7},
      {.type = "affine", .units = 3, .name = "sparse", .inputs = {"words"}, .rows = 5},
      {.type = "elu", .name = "sparse_elu"},
      {.type = "embedding_bag", .units = 2, .name = "sparse_bag", .inputs = {"words"}, .rows = 5},
      {.type = "concat", .inputs = {"product", "flat", "pairs", "bag", "sparse_elu", "sparse_bag"}},
      {.type = "layer_norm"},
      {.type = "dropout", .rate = 0.2},
      {.type = "affine", .units = 6},
      {.type = "softmax"},
      {.type = "affine", .units = 3},
  };
  return spec;
}

}  // namespace shardmill::nn
