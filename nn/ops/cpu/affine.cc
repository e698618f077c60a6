#include "nn/ops/cpu/affine.h"

#include <omp.h>
#include <oneapi/dnnl/dnnl.h>

#include <algorithm>
#include <cstdint>

#include "common/assert.h"

namespace shardmill::nn::cpu {
namespace {

// oneDNN asks OpenMP how many threads this thread may start: one, while this lives.
class OneThread final {
 public:
  OneThread() : before_(omp_get_max_threads()) { omp_set_num_threads(1); }
  ~OneThread() { omp_set_num_threads(before_); }
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;

 private:
  const int before_;
};

struct Matrix {
  ConstTensor tensor;
  bool transposed = false;

  uint64_t rows() const { return tensor.shape().dim(transposed ? 1 : 0); }
  uint64_t columns() const { return tensor.shape().dim(transposed ? 0 : 1); }
  char mark() const { return transposed ? 'T' : 'N'; }
  dnnl_dim_t stride() const { return static_cast<dnnl_dim_t>(tensor.shape().dim(1)); }
};

// out = left right + keep * out.
void Multiply(const Matrix& left, const Matrix& right, float keep, Tensor out) {
  SM_ASSERT(left.columns() == right.rows());
  SM_ASSERT(out.shape() == Shape({left.rows(), right.columns()}));
  const OneThread one_thread;
  const dnnl_status_t status =
      dnnl_sgemm(left.mark(), right.mark(), static_cast<dnnl_dim_t>(left.rows()),
                 static_cast<dnnl_dim_t>(right.columns()), static_cast<dnnl_dim_t>(left.columns()),
                 1.0F, left.tensor.data(), left.stride(), right.tensor.data(), right.stride(), keep,
                 out.data(), static_cast<dnnl_dim_t>(out.shape().dim(1)));
  SM_ASSERT(status == dnnl_success);
}

}  // namespace

void AffineForward(ConstTensor input, ConstTensor weight, ConstTensor bias, Tensor output) {
  SM_ASSERT(bias.size() == output.shape().dim(1));
  for (uint64_t row = 0; row < output.rows(); ++row) {
    std::copy_n(bias.data(), bias.size(), output.row(row).data());
  }
  Multiply({input}, {weight}, 1.0F, output);
}

void AffineBackwardParameters(ConstTensor input, ConstTensor output_gradient,
                              Tensor weight_gradient, Tensor bias_gradient) {
  SM_ASSERT(bias_gradient.size() == output_gradient.shape().dim(1));
  Multiply({input, true}, {output_gradient}, 0.0F, weight_gradient);
  float* const sums = bias_gradient.data();
  std::fill_n(sums, bias_gradient.size(), 0.0F);
  for (uint64_t row = 0; row < output_gradient.rows(); ++row) {
    const float* const values = output_gradient.row(row).data();
    for (uint64_t column = 0; column < bias_gradient.size(); ++column) {
      sums[column] += values[column];
    }
  }
}

void AffineBackwardInput(ConstTensor output_gradient, ConstTensor weight, Tensor input_gradient) {
  Multiply({output_gradient}, {weight, true}, 0.0F, input_gradient);
}

}  // namespace shardmill::nn::cpu
