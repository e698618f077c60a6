#include "nn/network.h"

#include <algorithm>
#include <utility>

#include "common/assert.h"
#include "common/rng.h"

namespace shardmill::nn {
namespace {

// Keeps the chance of the first weights apart from what else the job's seed is used for.
constexpr uint64_t kFirstWeights = 0x7765696768747331;

}  // namespace

Result<std::unique_ptr<Network>> Network::Make(const NetworkSpec& spec) {
  if (spec.input.size() == 0 || spec.input.dims() >= Shape::kDimsMax) {
    return Error{ErrorCode::kBadUsage,
                 "a network cannot read rows of the shape " + spec.input.ToString()};
  }
  std::vector<std::unique_ptr<Layer>> layers;
  Shape shape = spec.input;
  bool has_parameters = false;
  for (const LayerSpec& layer_spec : spec.layers) {
    Result<std::unique_ptr<Layer>> layer = MakeLayer(layer_spec, shape);
    if (!layer.ok()) {
      return Error{layer.error().code, "layer " + std::to_string(layers.size() + 1) + " (\"" +
                                           layer_spec.type + "\"): " + layer.error().message};
    }
    shape = (*layer)->output();
    has_parameters = has_parameters || !(*layer)->parameters().empty();
    layers.push_back(std::move(*layer));
  }
  if (!has_parameters) {
    return Error{ErrorCode::kBadUsage,
                 "the network has nothing to train: give it a layer with weights, such as "
                 "\"affine\""};
  }
  std::unique_ptr<Loss> loss = SM_TRY(MakeLoss(spec.loss, shape));
  return std::make_unique<Network>(spec.input, std::move(layers), std::move(loss));
}

Network::Network(const Shape& input, std::vector<std::unique_ptr<Layer>> layers,
                 std::unique_ptr<Loss> loss)
    : input_(input), loss_(std::move(loss)) {
  SM_ASSERT(!layers.empty());
  Shape shape = input;
  uint64_t row_floats_max = shape.size();
  trained_begin_ = layers.size();
  for (std::unique_ptr<Layer>& layer : layers) {
    const std::string prefix =
        std::string(layer->type()) + '_' + std::to_string(places_.size() + 1) + '.';
    const size_t parameters_begin = parameters_.size();
    for (const ParameterInfo& parameter : layer->parameters()) {
      parameters_.push_back({prefix + parameter.name, parameter.shape, parameter.initial_scale});
      trained_begin_ = std::min(trained_begin_, places_.size());
    }
    if (!layer->IsView()) tensor_floats_.push_back(layer->output().size());
    row_floats_max = std::max(row_floats_max, layer->output().size());
    // Gradients go back as far as the input of the layer after the first with parameters.
    if (trained_begin_ < places_.size()) {
      gradient_floats_ = std::max(gradient_floats_, shape.size());
    }
    const Shape output = layer->output();
    places_.push_back({std::move(layer), shape, parameters_begin, {}});
    shape = output;
  }
  SM_ASSERT(trained_begin_ < places_.size());
  // The gradients by the output and by two tensors within; a layer reads one and fills the other.
  tensor_floats_.push_back(shape.size());
  tensor_floats_.push_back(gradient_floats_);
  tensor_floats_.push_back(gradient_floats_);
  rows_max_ = Shape::kSizeMax / row_floats_max;
  lent_parameters_.resize(parameters_.size());
  lent_gradients_.resize(parameters_.size());
}

const Shape& Network::output() const { return places_.back().layer->output(); }

Initial Network::InitialOf(uint64_t seed, size_t parameter) const {
  SM_ASSERT(parameter < parameters_.size());
  const float scale = parameters_[parameter].initial_scale;
  if (scale == 0) return Initial::Constant(0);
  return Initial::Uniform(scale, Mix(Mix(seed ^ kFirstWeights) + parameter));
}

Result<double> Network::Train(std::span<const float> inputs, std::span<const uint32_t> labels,
                              std::span<const std::span<const float>> parameters,
                              std::span<const std::span<float>> gradients) {
  Lend(parameters);
  SM_ASSERT(gradients.size() == parameters_.size());
  for (size_t index = 0; index < gradients.size(); ++index) {
    lent_gradients_[index] = Tensor(gradients[index], parameters_[index].shape);
  }
  SM_TRY(CheckBatch(inputs, labels));
  if (labels.empty()) {
    for (const std::span<float> gradient : gradients) {
      std::fill(gradient.begin(), gradient.end(), 0.0F);
    }
    return 0.0;
  }
  const ConstTensor output = Forward(inputs, labels.size());
  const Tensor saved(arena_.Take(output.size()), output.shape());
  const LossSums sums = loss_->Forward(output, labels, saved);
  loss_->Backward(labels, saved);
  Backward(saved);
  return sums.loss / static_cast<double>(labels.size());
}

Result<LossSums> Network::Evaluate(std::span<const float> inputs, std::span<const uint32_t> labels,
                                   std::span<const std::span<const float>> parameters) {
  Lend(parameters);
  SM_TRY(CheckBatch(inputs, labels));
  if (labels.empty()) return LossSums{};
  const ConstTensor output = Forward(inputs, labels.size());
  return loss_->Forward(output, labels, Tensor(arena_.Take(output.size()), output.shape()));
}

Result<> Network::CheckBatch(std::span<const float> inputs,
                             std::span<const uint32_t> labels) const {
  if (labels.size() > rows_max_ || inputs.size() != labels.size() * input_.size()) {
    return Error{ErrorCode::kBadInput,
                 "a batch of " + std::to_string(labels.size()) + " labels comes with " +
                     std::to_string(inputs.size()) + " numbers, but the network reads " +
                     std::to_string(input_.size()) + " numbers a row (" + input_.ToString() + ")"};
  }
  return loss_->CheckLabels(labels);
}

void Network::Lend(std::span<const std::span<const float>> parameters) {
  SM_ASSERT(parameters.size() == parameters_.size());
  for (size_t index = 0; index < parameters.size(); ++index) {
    lent_parameters_[index] = ConstTensor(parameters[index], parameters_[index].shape);
  }
}

ConstTensor Network::Forward(std::span<const float> inputs, uint64_t rows) {
  uint64_t floats = 0;
  for (const uint64_t row_floats : tensor_floats_) floats += Arena::Rounded(rows * row_floats);
  arena_.Reset(floats);
  ConstTensor tensor(inputs, input_.Rows(rows));
  for (Place& place : places_) {
    place.read = tensor;
    const Shape shape = place.layer->output().Rows(rows);
    if (place.layer->IsView()) {
      tensor = tensor.As(shape);
      continue;
    }
    const Tensor output(arena_.Take(shape.size()), shape);
    place.layer->Forward(tensor, ParametersOf(place), output);
    tensor = output;
  }
  return tensor;
}

void Network::Backward(Tensor output_gradient) {
  const uint64_t rows = output_gradient.rows();
  std::span<float> next = arena_.Take(rows * gradient_floats_);
  std::span<float> other = arena_.Take(rows * gradient_floats_);
  Tensor gradient = output_gradient;
  for (size_t index = places_.size(); index-- > trained_begin_;) {
    const Place& place = places_[index];
    const Shape shape = place.input.Rows(rows);
    if (place.layer->IsView()) {
      gradient = gradient.As(shape);
      continue;
    }
    const size_t count = place.layer->parameters().size();
    const Tensor input_gradient =
        index == trained_begin_ ? Tensor() : Tensor(next.first(shape.size()), shape);
    place.layer->Backward(
        {.input = place.read,
         .output_gradient = gradient,
         .parameters = ParametersOf(place),
         .parameter_gradients =
             std::span<const Tensor>(lent_gradients_).subspan(place.parameters_begin, count),
         .input_gradient = input_gradient});
    gradient = input_gradient;
    std::swap(next, other);
  }
}

std::span<const ConstTensor> Network::ParametersOf(const Place& place) const {
  return std::span<const ConstTensor>(lent_parameters_)
      .subspan(place.parameters_begin, place.layer->parameters().size());
}

}  // namespace shardmill::nn
