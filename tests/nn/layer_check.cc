#include "tests/nn/layer_check.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "common/rng.h"
#include "tests/nn/gradient_check.h"

namespace shardmill::nn {
namespace {

constexpr uint64_t kChance = 12345;
constexpr float kNothing = std::numeric_limits<float>::quiet_NaN();

// Some 0.1 apart from each other and from zero while they are few, within [-2, 2].
std::vector<float> SpreadFloats(uint64_t seed, size_t count) {
  std::vector<float> values(count);
  Rng rng(seed);
  for (size_t i = 0; i < count; ++i) {
    const size_t place = static_cast<size_t>(rng.Below(i + 1));
    values[i] = values[place];
    const auto step = static_cast<float>(i % 20) + 0.7F;
    values[place] = (i % 2 == 0 ? 0.1F : -0.1F) * step;
  }
  return values;
}

}  // namespace

LayerCheck::LayerCheck(const LayerSpec& spec, const std::vector<ValueType>& inputs, uint64_t rows)
    : layer_(std::move(MakeLayer(spec, inputs)).value()), types_(inputs), rows_(rows) {
  Rng rng(7);
  for (const ValueType& type : inputs) {
    uint64_t size = type.row.size() * rows;
    std::vector<uint64_t>& ends = ends_.emplace_back();
    if (type.kind == ValueKind::kSparse) {
      size = 0;
      for (uint64_t row = 0; row < rows; ++row) ends.push_back(size += row % 4);
    }
    inputs_.push_back(
        SpreadFloats(inputs_.size() + 1, type.kind == ValueKind::kIndices ? 0 : size));
    input_gradients_.emplace_back(type.kind == ValueKind::kFloats ? size : 0, kNothing);
    ids_.emplace_back(type.kind == ValueKind::kFloats ? 0 : size);
    for (uint32_t& id : ids_.back()) id = static_cast<uint32_t>(rng.Below(layer_->IndexLimit()));
  }
  for (const ParameterInfo& info : layer_->parameters()) {
    parameters_.push_back(RandomFloats(100 + parameters_.size(), info.shape.size()));
    parameter_gradients_.emplace_back(info.shape.size(), kNothing);
  }
  output_.resize(layer_->output().size() * rows, kNothing);
  output_gradient_ = RandomFloats(50, output_.size());
  const SavedSize saved = layer_->Saved(backend_);
  saved_.resize(saved.of_batch + rows * saved.of_row, kNothing);
}

std::vector<Value> LayerCheck::Values() const {
  std::vector<Value> values(types_.size());
  for (size_t i = 0; i < types_.size(); ++i) {
    const Shape shape = types_[i].row.Rows(rows_);
    if (types_[i].kind == ValueKind::kSparse) {
      values[i].sparse = sparse(i);
    } else if (types_[i].kind == ValueKind::kIndices) {
      values[i].indices = IndexTensor(ids_[i], shape);
    } else {
      values[i].floats = ConstTensor(inputs_[i], shape);
    }
  }
  return values;
}

std::vector<ConstTensor> LayerCheck::Parameters() const {
  std::vector<ConstTensor> parameters;
  for (size_t i = 0; i < parameters_.size(); ++i) {
    parameters.emplace_back(std::span<const float>(parameters_[i]), layer_->parameters()[i].shape);
  }
  return parameters;
}

void LayerCheck::Forward(bool training) {
  const std::vector<Value> values = Values();
  const std::vector<ConstTensor> parameters = Parameters();
  std::ranges::fill(output_, kNothing);
  layer_->Forward(backend_, {.inputs = values,
                             .parameters = parameters,
                             .output = Tensor(output_, layer_->output().Rows(rows_)),
                             .saved = saved_,
                             .training = training,
                             .chance = kChance});
}

void LayerCheck::Backward() {
  const std::vector<Value> values = Values();
  const std::vector<ConstTensor> parameters = Parameters();
  std::vector<Tensor> parameter_gradients, input_gradients;
  for (size_t i = 0; i < parameters_.size(); ++i) {
    parameter_gradients.emplace_back(parameter_gradients_[i], layer_->parameters()[i].shape);
  }
  for (size_t i = 0; i < types_.size(); ++i) {
    const bool floats = types_[i].kind == ValueKind::kFloats;
    input_gradients.push_back(floats ? Tensor(input_gradients_[i], types_[i].row.Rows(rows_))
                                     : Tensor());
  }
  std::vector<float> back = output_gradient_;
  const Shape shape = layer_->output().Rows(rows_);
  layer_->Backward(backend_, {.inputs = values,
                              .output = ConstTensor(output_, shape),
                              .output_gradient = Tensor(back, shape),
                              .parameters = parameters,
                              .parameter_gradients = parameter_gradients,
                              .input_gradients = input_gradients,
                              .saved = saved_,
                              .chance = kChance});
}

double LayerCheck::Objective() {
  Forward();
  double sum = 0;
  for (size_t i = 0; i < output_.size(); ++i) {
    sum += static_cast<double>(output_[i]) * static_cast<double>(output_gradient_[i]);
  }
  return sum;
}

double LayerCheck::ErrorOf(std::vector<float>& numbers, const std::vector<float>& gradient) {
  constexpr float kStep = 0.03125F;
  std::vector<double> want(numbers.size());
  for (size_t i = 0; i < numbers.size(); ++i) {
    const float at = numbers[i];
    const auto value = [&](float steps) {
      numbers[i] = at + steps * kStep;
      return Objective();
    };
    const double near = value(1) - value(-1);
    const double far = value(2) - value(-2);
    numbers[i] = at;
    want[i] = (8 * near - far) / (12 * static_cast<double>(kStep));
  }
  return MaxDifference(gradient, want);
}

double LayerCheck::GreatestError() {
  Forward();
  Backward();
  double error = 0;
  for (size_t i = 0; i < inputs_.size(); ++i) {
    if (types_[i].kind != ValueKind::kFloats) continue;
    error = std::max(error, ErrorOf(inputs_[i], input_gradients_[i]));
  }
  for (size_t i = 0; i < parameters_.size(); ++i) {
    if (layer_->parameters()[i].role != Role::kTrained) continue;
    error = std::max(error, ErrorOf(parameters_[i], parameter_gradients_[i]));
  }
  return error;
}

}  // namespace shardmill::nn
