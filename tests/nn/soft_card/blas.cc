// cuBLAS's functions.
#include <cublas_v2.h>

#include <algorithm>
#include <vector>

#include "tests/nn/soft_card/machine.h"
#include "tests/nn/soft_card/rounding.h"

struct cublasContext {
  cudaStream_t stream = nullptr;
};

using shardmill::soft::CheckPlace;
using shardmill::soft::Machine;
using shardmill::soft::RoundTo;

namespace {

// Columns first, as all of cuBLAS's; seen as it is to be multiplied.
struct Factor {
  const float* numbers;
  int64_t stride;
  bool transposed;
  int bits;

  float At(int64_t row, int64_t column) const {
    return RoundTo(bits,
                   transposed ? numbers[row * stride + column] : numbers[column * stride + row]);
  }
};

void Multiply(const Factor& left, const Factor& right, int64_t rows, int64_t columns, int64_t inner,
              float scale, float keep, float* out, int64_t out_stride) {
  // In the order in which columns of the left one are added up.
  std::vector<float> ordered;
  for (int64_t i = 0; i < inner; ++i) {
    for (int64_t row = 0; row < rows; ++row) ordered.push_back(left.At(row, i));
  }
  std::vector<float> sums(static_cast<size_t>(rows));
  for (int64_t column = 0; column < columns; ++column) {
    sums.assign(sums.size(), 0.0F);
    for (int64_t i = 0; i < inner; ++i) {
      const float by = right.At(i, column);
      const float* const of = ordered.data() + i * rows;
      for (size_t row = 0; row < sums.size(); ++row) sums[row] += of[row] * by;
    }
    float* const to = out + column * out_stride;
    for (size_t row = 0; row < sums.size(); ++row) {
      to[row] = scale * sums[row] + (keep == 0 ? 0.0F : keep * to[row]);
    }
  }
}

int BitsOf(cublasComputeType_t compute) {
  if (compute == CUBLAS_COMPUTE_32F) return 23;
  return compute == CUBLAS_COMPUTE_32F_FAST_TF32 ? 10 : 7;
}

}  // namespace

const char* cublasGetStatusString(cublasStatus_t status) {
  switch (status) {
    case CUBLAS_STATUS_SUCCESS:
      return "the operation completed successfully";
    case CUBLAS_STATUS_ALLOC_FAILED:
      return "the resource allocation failed";
    case CUBLAS_STATUS_INVALID_VALUE:
      return "an unsupported value or parameter was passed to the function";
    case CUBLAS_STATUS_EXECUTION_FAILED:
      return "the function failed to launch on the GPU";
  }
  return "unknown status";
}

cublasStatus_t cublasCreate(cublasHandle_t* handle) {
  Machine& machine = Machine::Get();
  if (machine.lost() || machine.Fails()) return CUBLAS_STATUS_ALLOC_FAILED;
  machine.Make(handle);
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasDestroy(cublasHandle_t handle) {
  Machine::Get().Drop(handle);
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasSetStream(cublasHandle_t handle, cudaStream_t stream) {
  handle->stream = stream;
  return CUBLAS_STATUS_SUCCESS;
}

// Its own loops want none.
cublasStatus_t cublasSetWorkspace(cublasHandle_t, void* workspace, size_t) {
  CheckPlace(workspace, "cuBLAS is lent the host's memory to work in");
  if (reinterpret_cast<uintptr_t>(workspace) % 256 > 0) return CUBLAS_STATUS_INVALID_VALUE;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasGemmEx_64(cublasHandle_t handle, cublasOperation_t left_as,
                               cublasOperation_t right_as, int64_t rows, int64_t columns,
                               int64_t inner, const void* scale, const void* left, cudaDataType,
                               int64_t left_stride, const void* right, cudaDataType,
                               int64_t right_stride, const void* keep, void* out, cudaDataType,
                               int64_t out_stride, cublasComputeType_t compute, cublasGemmAlgo_t) {
  Machine& machine = Machine::Get();
  if (machine.lost() || machine.Fails()) return CUBLAS_STATUS_EXECUTION_FAILED;
  const bool turns_left = left_as == CUBLAS_OP_T, turns_right = right_as == CUBLAS_OP_T;
  const auto holds = [](int64_t stride, int64_t numbers) {
    return stride >= std::max<int64_t>(1, numbers);
  };
  if (rows < 0 || columns < 0 || inner < 0 || !holds(left_stride, turns_left ? inner : rows) ||
      !holds(right_stride, turns_right ? columns : inner) || !holds(out_stride, rows)) {
    return CUBLAS_STATUS_INVALID_VALUE;
  }
  for (const void* const place : {left, right, static_cast<const void*>(out)}) {
    CheckPlace(place, "cuBLAS is lent memory of the host");
  }
  const int bits = BitsOf(compute);
  const Factor first{static_cast<const float*>(left), left_stride, turns_left, bits};
  const Factor second{static_cast<const float*>(right), right_stride, turns_right, bits};
  const cudaError_t begun = machine.Enqueue(
      handle->stream,
      [=, by = *static_cast<const float*>(scale), kept = *static_cast<const float*>(keep)] {
        Multiply(first, second, rows, columns, inner, by, kept, static_cast<float*>(out),
                 out_stride);
      });
  return begun == cudaSuccess ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_EXECUTION_FAILED;
}
