#include "common/assert.h"
#include "nn/ops/cuda/backend.h"
#include "nn/ops/cuda/elementwise.cuh"
#include "nn/ops/cuda/kernels.cuh"

namespace shardmill::nn {

void CudaBackend::Apply(const Elementwise& function, ConstTensor in, Tensor out) {
  SM_ASSERT(in.size() == out.size());
  const Elementwise f = function;
  const float* const from = in.data();
  float* const to = out.data();
  ForEach(*card_, in.size(), [=] __device__(uint64_t i) { to[i] = Value(f, from[i]); });
}

void CudaBackend::ApplyGradient(const Elementwise& function, ConstTensor seen,
                                ConstTensor output_gradient, Tensor input_gradient) {
  SM_ASSERT(seen.size() == output_gradient.size() && seen.size() == input_gradient.size());
  const Elementwise f = function;
  const float* const at = seen.data();
  const float* const back = output_gradient.data();
  float* const to = input_gradient.data();
  ForEach(*card_, seen.size(), [=] __device__(uint64_t i) { to[i] = Gradient(f, at[i], back[i]); });
}

}  // namespace shardmill::nn
