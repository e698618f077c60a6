#include "nn/layers/flatten.h"

#include <algorithm>

#include "common/assert.h"

namespace shardmill::nn {

void Flatten::Forward(ConstTensor input, std::span<const ConstTensor>, Tensor output) const {
  SM_ASSERT(input.size() == output.size());
  std::copy_n(input.data(), input.size(), output.data());
}

void Flatten::Backward(const BackwardPass& pass) const {
  if (pass.input_gradient.empty()) return;
  SM_ASSERT(pass.input_gradient.size() == pass.output_gradient.size());
  std::copy_n(pass.output_gradient.data(), pass.output_gradient.size(), pass.input_gradient.data());
}

}  // namespace shardmill::nn
