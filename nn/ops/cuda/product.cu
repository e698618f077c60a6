#include "common/assert.h"
#include "nn/ops/cuda/kernels.cuh"
#include "nn/ops/cuda/product.cuh"

namespace shardmill::nn {
namespace {

cublasComputeType_t ComputeTypeOf(Products products) {
  switch (products) {
    case Products::kFloat:
      return CUBLAS_COMPUTE_32F;
    case Products::kTf32:
      return CUBLAS_COMPUTE_32F_FAST_TF32;
    case Products::kBf16:
      return CUBLAS_COMPUTE_32F_FAST_16BF;
  }
  return CUBLAS_COMPUTE_32F;
}

}  // namespace

// cuBLAS has columns first: our matrices are its transposed ones, and so right^T left^T is asked of
// it, which is out^T.
void Product(Card& card, const Factor& left, const Factor& right, float keep, Matrix out) {
  SM_ASSERT(left.columns() == right.rows());
  SM_ASSERT(out.rows() == left.rows() && out.columns() == right.columns());
  const auto operation = [](const Factor& factor) {
    return factor.transposed ? CUBLAS_OP_T : CUBLAS_OP_N;
  };
  const auto extent = [](uint64_t value) { return static_cast<int64_t>(value); };
  const float once = 1.0F;
  card.Check(cublasGemmEx_64(
      card.blas(), operation(right), operation(left), extent(out.columns()), extent(out.rows()),
      extent(left.columns()), &once, right.matrix.data(), CUDA_R_32F, extent(right.matrix.stride()),
      left.matrix.data(), CUDA_R_32F, extent(left.matrix.stride()), &keep, out.data(), CUDA_R_32F,
      extent(out.stride()), ComputeTypeOf(card.products()), CUBLAS_GEMM_DEFAULT));
}

void SumColumns(Card& card, ConstMatrix matrix, Tensor sums) {
  SM_ASSERT(sums.size() == matrix.columns());
  const Cells<const float> in = CellsOf(matrix);
  float* const out = sums.data();
  ForEachColumn(
      card, matrix.rows(), matrix.columns(),
      [=] __device__(uint64_t row, uint64_t column) {
        return Sums{static_cast<double>(in(row, column)), 0};
      },
      [=] __device__(uint64_t column, const Sums& found) {
        out[column] = static_cast<float>(found.first);
      });
}

}  // namespace shardmill::nn
