#include "common/assert.h"
#include "nn/ops/chance.h"
#include "nn/ops/cuda/backend.h"
#include "nn/ops/cuda/kernels.cuh"

namespace shardmill::nn {

void CudaBackend::Dropout(uint64_t chance, float rate, ConstTensor in, Tensor out) {
  SM_ASSERT(in.size() == out.size());
  SM_ASSERT(rate >= 0 && rate < 1);
  const float scale = 1.0F / (1.0F - rate);
  const Dropped dropped(chance, rate);
  const float* const from = in.data();
  float* const to = out.data();
  ForEach(*card_, in.size(),
          [=] __device__(uint64_t i) { to[i] = dropped.Has(i) ? 0.0F : scale * from[i]; });
}

}  // namespace shardmill::nn
