#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "nn/layer.h"
#include "nn/layer_types.h"
#include "nn/ops/cpu/backend.h"

namespace shardmill::nn {

// A layer with random numbers for all that it reads, and memory for all that it writes, which holds
// a NaN wherever the layer forgets to write. Inputs keep away from zero and from each other, where
// functions have their kinks.
class LayerCheck final {
 public:
  LayerCheck(const LayerSpec& spec, const std::vector<ValueType>& inputs, uint64_t rows);

  const Layer& layer() const { return *layer_; }
  std::vector<std::vector<float>>& inputs() { return inputs_; }
  std::vector<std::vector<float>>& parameters() { return parameters_; }
  const std::vector<std::vector<uint32_t>>& ids() const { return ids_; }
  // Of sparse rows, whose numbers are among inputs().
  SparseRows sparse(size_t input) const {
    return {ids_[input], inputs_[input], ends_[input], rows_};
  }
  const std::vector<float>& output() const { return output_; }
  const std::vector<float>& output_gradient() const { return output_gradient_; }
  const std::vector<std::vector<float>>& input_gradients() const { return input_gradients_; }
  const std::vector<std::vector<float>>& parameter_gradients() const {
    return parameter_gradients_;
  }

  void Forward(bool training = true);
  void Backward();  // After Forward.

  // The greatest difference, over all inputs and trained parameters, of the gradients that Backward
  // finds of sum(output * output_gradient) from those of five points near each number, whose own
  // error is some 1e-5 where numbers are about 1.
  double GreatestError();

 private:
  double Objective();
  double ErrorOf(std::vector<float>& numbers, const std::vector<float>& gradient);
  std::vector<Value> Values() const;
  std::vector<ConstTensor> Parameters() const;

  CpuBackend backend_;
  std::unique_ptr<Layer> layer_;
  std::vector<ValueType> types_;
  uint64_t rows_;
  std::vector<std::vector<float>> inputs_, input_gradients_;
  std::vector<std::vector<uint32_t>> ids_;
  std::vector<std::vector<uint64_t>> ends_;
  std::vector<std::vector<float>> parameters_, parameter_gradients_;
  std::vector<float> output_, output_gradient_, saved_;
};

}  // namespace shardmill::nn
