#include "nn/layers/recurrent.h"

#include <utility>

#include "nn/layers/settings.h"

namespace shardmill::nn {
namespace {

constexpr size_t kInput = 0;
constexpr size_t kRecurrent = 1;
constexpr size_t kBias = 2;

template <class T>
RecurrentWeights<T> WeightsOf(std::span<const TensorView<T>> parameters) {
  return {parameters[kInput], parameters[kRecurrent], parameters[kBias]};
}

}  // namespace

LayerResult RecurrentLayer::Make(const LayerSpec& spec, std::span<const ValueType> inputs) {
  const Shape& input = inputs[0].row;
  if (!spec.cell_output.empty() && spec.cell_output != "last" && spec.cell_output != "all") {
    return BadLayer("its cell_output is \"last\" or \"all\", not \"" + spec.cell_output + "\"");
  }
  const RecurrentCell cell = spec.type == "lstm" ? RecurrentCell::kLstm : RecurrentCell::kTanh;
  const uint64_t times = input.dim(0), numbers = input.dim(1), units = spec.units;
  if (units > Shape::kSizeMax / 8) return BadLayer("it has too many units");
  const uint64_t width = cell == RecurrentCell::kLstm ? 4 * units : units;
  const std::array<uint64_t, 2> into{numbers, width}, again{units, width}, out{times, units};
  const Shape into_shape = SM_TRY(Shape::Make(into));
  const Shape again_shape = SM_TRY(Shape::Make(again));
  SM_TRY(Shape::Make(out));
  const Initial first = SM_TRY(WeightsInitial(spec, "glorot", numbers, units));
  const Initial second = SM_TRY(WeightsInitial(spec, "glorot", units, units));
  std::array<ParameterInfo, 3> parameters{Weight(spec, "weight", into_shape, first),
                                          Weight(spec, "recurrent_weight", again_shape, second),
                                          Bias(spec, "bias", {width})};
  const bool last = spec.cell_output != "all";
  return std::unique_ptr<Layer>(
      new RecurrentLayer(cell, last, times, units, std::move(parameters)));
}

RecurrentLayer::RecurrentLayer(RecurrentCell cell, bool last, uint64_t times, uint64_t units,
                               std::array<ParameterInfo, 3> parameters)
    : cell_(cell),
      last_(last),
      times_(times),
      units_(units),
      output_(last ? Shape{units} : Shape{times, units}),
      parameters_(std::move(parameters)) {}

std::string_view RecurrentLayer::type() const {
  return cell_ == RecurrentCell::kLstm ? "lstm" : "rnn";
}

SavedSize RecurrentLayer::Saved(Backend& backend) const {
  const uint64_t outputs = last_ ? 2 * times_ * units_ : 0;
  return {.of_row = outputs + backend.RecurrentSaved(cell_, times_, units_)};
}

RecurrentLayer::Kept RecurrentLayer::KeptIn(std::span<float> saved, uint64_t rows) const {
  const uint64_t size = last_ ? rows * times_ * units_ : 0;
  const std::span<float> cell = saved.subspan(2 * size);
  Kept kept{.cell = Tensor(cell, {cell.size()}), .outputs = {}, .gradients = {}};
  if (!last_) return kept;
  kept.outputs = Tensor(saved.first(size), {rows, times_, units_});
  kept.gradients = Tensor(saved.subspan(size, size), {rows, times_, units_});
  return kept;
}

void RecurrentLayer::Forward(Backend& backend, const ForwardPass& pass) const {
  const uint64_t rows = pass.output.rows();
  const Kept kept = KeptIn(pass.saved, rows);
  const Tensor outputs = last_ ? kept.outputs : pass.output;
  backend.Recur(cell_, pass.inputs[0].floats, WeightsOf(pass.parameters), outputs, kept.cell);
  if (!last_) return;
  const ConstMatrix all = ConstTensor(outputs).As({rows, times_ * units_});
  backend.Copy(all.Columns((times_ - 1) * units_, units_), pass.output);
}

void RecurrentLayer::Backward(Backend& backend, const BackwardPass& pass) const {
  const uint64_t rows = pass.output_gradient.rows();
  const Kept kept = KeptIn(pass.saved, rows);
  if (last_) {
    backend.Fill(0.0F, kept.gradients);
    const Matrix all = kept.gradients.As({rows, times_ * units_});
    backend.Copy(pass.output_gradient, all.Columns((times_ - 1) * units_, units_));
  }
  const ConstTensor outputs = last_ ? ConstTensor(kept.outputs) : pass.output;
  const ConstTensor back = last_ ? kept.gradients : pass.output_gradient;
  backend.RecurGradient(cell_, pass.inputs[0].floats, WeightsOf(pass.parameters), outputs, back,
                        kept.cell, pass.input_gradients[0], WeightsOf(pass.parameter_gradients));
}

}  // namespace shardmill::nn
