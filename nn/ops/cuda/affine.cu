#include "common/assert.h"
#include "nn/ops/cuda/backend.h"
#include "nn/ops/cuda/finish.cuh"
#include "nn/ops/cuda/product.cuh"

namespace shardmill::nn {

void CudaBackend::Affine(ConstMatrix input, ConstTensor weight, ConstTensor bias,
                         const Elementwise& after, Matrix output) {
  Product(*card_, {input}, {weight}, 0.0F, output);
  AddBiasAndApply(*card_, bias, after, output);
}

void CudaBackend::AffineInputGradient(ConstMatrix output_gradient, ConstTensor weight,
                                      Matrix input_gradient) {
  Product(*card_, {output_gradient}, {weight, true}, 0.0F, input_gradient);
}

void CudaBackend::AffineParameterGradients(ConstMatrix input, ConstMatrix output_gradient,
                                           Tensor weight_gradient, Tensor bias_gradient) {
  Product(*card_, {input, true}, {output_gradient}, 0.0F, weight_gradient);
  if (!bias_gradient.empty()) SumColumns(*card_, output_gradient, bias_gradient);
}

}  // namespace shardmill::nn
