#pragma once

// As much of cuBLAS as nn/ops/cuda uses.

#include <cuda_runtime.h>

enum cublasStatus_t {
  CUBLAS_STATUS_SUCCESS = 0,
  CUBLAS_STATUS_ALLOC_FAILED = 3,
  CUBLAS_STATUS_INVALID_VALUE = 7,
  CUBLAS_STATUS_EXECUTION_FAILED = 13,
};
enum cublasOperation_t { CUBLAS_OP_N = 0, CUBLAS_OP_T = 1 };
enum cublasGemmAlgo_t { CUBLAS_GEMM_DEFAULT = -1 };
enum cublasComputeType_t {
  CUBLAS_COMPUTE_32F = 68,
  CUBLAS_COMPUTE_32F_FAST_16BF = 75,
  CUBLAS_COMPUTE_32F_FAST_TF32 = 77,
};

typedef struct cublasContext* cublasHandle_t;

const char* cublasGetStatusString(cublasStatus_t status);
cublasStatus_t cublasCreate(cublasHandle_t* handle);
cublasStatus_t cublasDestroy(cublasHandle_t handle);
cublasStatus_t cublasSetStream(cublasHandle_t handle, cudaStream_t stream);
cublasStatus_t cublasSetWorkspace(cublasHandle_t handle, void* workspace, size_t bytes);
cublasStatus_t cublasGemmEx_64(cublasHandle_t handle, cublasOperation_t left_as,
                               cublasOperation_t right_as, int64_t rows, int64_t columns,
                               int64_t inner, const void* scale, const void* left,
                               cudaDataType left_type, int64_t left_stride, const void* right,
                               cudaDataType right_type, int64_t right_stride, const void* keep,
                               void* out, cudaDataType out_type, int64_t out_stride,
                               cublasComputeType_t compute, cublasGemmAlgo_t algorithm);
