#include <algorithm>

#include "common/assert.h"
#include "nn/ops/cpu/backend.h"
#include "nn/ops/cpu/elementwise.h"
#include "nn/ops/cpu/product.h"

namespace shardmill::nn {

void CpuBackend::Affine(ConstMatrix input, ConstTensor weight, ConstTensor bias,
                        const Elementwise& after, Matrix output) {
  if (!bias.empty()) {
    SM_ASSERT(bias.size() == output.columns());
    for (uint64_t row = 0; row < output.rows(); ++row) {
      std::copy_n(bias.data(), bias.size(), output.row(row));
    }
  }
  Product({input}, {weight}, bias.empty() ? 0.0F : 1.0F, output);
  if (after.activation == Activation::kNone) return;
  for (uint64_t row = 0; row < output.rows(); ++row) {
    ApplyTo(after, output.row(row), output.columns(), output.row(row));
  }
}

void CpuBackend::AffineInputGradient(ConstMatrix output_gradient, ConstTensor weight,
                                     Matrix input_gradient) {
  Product({output_gradient}, {weight, true}, 0.0F, input_gradient);
}

void CpuBackend::AffineParameterGradients(ConstMatrix input, ConstMatrix output_gradient,
                                          Tensor weight_gradient, Tensor bias_gradient) {
  Product({input, true}, {output_gradient}, 0.0F, weight_gradient);
  if (!bias_gradient.empty()) SumColumns(output_gradient, false, bias_gradient);
}

}  // namespace shardmill::nn
