#include "nn/ops/cpu/product.h"

#include <oneapi/dnnl/dnnl.h>

#include <algorithm>
#include <cstdint>

#include "common/assert.h"
#include "nn/ops/cpu/one_thread.h"

namespace shardmill::nn {

void Product(const Factor& left, const Factor& right, float keep, Matrix out) {
  SM_ASSERT(left.columns() == right.rows());
  SM_ASSERT(out.rows() == left.rows() && out.columns() == right.columns());
  const OneThread one_thread;
  const dnnl_status_t status =
      dnnl_sgemm(left.transposed ? 'T' : 'N', right.transposed ? 'T' : 'N',
                 static_cast<dnnl_dim_t>(left.rows()), static_cast<dnnl_dim_t>(right.columns()),
                 static_cast<dnnl_dim_t>(left.columns()), 1.0F, left.matrix.data(),
                 static_cast<dnnl_dim_t>(left.matrix.stride()), right.matrix.data(),
                 static_cast<dnnl_dim_t>(right.matrix.stride()), keep, out.data(),
                 static_cast<dnnl_dim_t>(out.stride()));
  SM_ASSERT(status == dnnl_success);
}

void SumColumns(ConstMatrix matrix, bool add, Tensor sums) {
  SM_ASSERT(sums.size() == matrix.columns());
  float* const out = sums.data();
  if (!add) std::fill_n(out, sums.size(), 0.0F);
  for (uint64_t row = 0; row < matrix.rows(); ++row) {
    const float* const values = matrix.row(row);
    for (uint64_t column = 0; column < matrix.columns(); ++column) out[column] += values[column];
  }
}

}  // namespace shardmill::nn
