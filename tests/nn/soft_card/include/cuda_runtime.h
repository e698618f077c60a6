#pragma once

// As much of CUDA as nn/ops/cuda uses, as plain C++ whose kernels run on the processor.

#include <math.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <tuple>
#include <vector>

#define __host__
#define __device__
#define __global__
// A thread's own, so that a library's lie together and can be poisoned: see Threads.
#define __shared__ static thread_local

enum cudaError_t {
  cudaSuccess = 0,
  cudaErrorInvalidValue = 1,
  cudaErrorMemoryAllocation = 2,
  cudaErrorInvalidConfiguration = 9,
  cudaErrorInsufficientDriver = 35,
  cudaErrorNoDevice = 100,
  cudaErrorInvalidDevice = 101,
  cudaErrorOperatingSystem = 304,
  cudaErrorInvalidResourceHandle = 400,
  cudaErrorNotReady = 600,
  cudaErrorIllegalAddress = 700,
  cudaErrorLaunchOutOfResources = 701,
  cudaErrorStreamCaptureUnsupported = 900,
  cudaErrorStreamCaptureInvalidated = 901,
  cudaErrorStreamCaptureIsolation = 905,
  cudaErrorCapturedEvent = 907,
};
enum cudaStreamCaptureMode { cudaStreamCaptureModeThreadLocal = 1 };
enum cudaMemcpyKind {
  cudaMemcpyHostToDevice = 1,
  cudaMemcpyDeviceToHost,
  cudaMemcpyDeviceToDevice
};
enum cudaDataType { CUDA_R_32F = 0 };

typedef struct CUstream_st* cudaStream_t;
typedef struct CUevent_st* cudaEvent_t;
typedef struct CUgraph_st* cudaGraph_t;
typedef struct CUgraphExec_st* cudaGraphExec_t;

constexpr int CUDART_VERSION = 13000;

constexpr unsigned cudaStreamNonBlocking = 1;
constexpr unsigned cudaEventBlockingSync = 1;
constexpr unsigned cudaEventDisableTiming = 2;

struct dim3 {
  constexpr dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}

  unsigned x, y, z;
};

struct cudaDeviceProp {
  char name[256];
  int major, minor;
};

struct cudaLaunchConfig_t {
  dim3 gridDim, blockDim;
  size_t dynamicSmemBytes = 0;
  cudaStream_t stream = nullptr;
};

// Of the thread that runs.
extern dim3 threadIdx, blockIdx, blockDim, gridDim;

const char* cudaGetErrorString(cudaError_t error);
cudaError_t cudaGetLastError();
cudaError_t cudaDriverGetVersion(int* version);
cudaError_t cudaGetDeviceCount(int* count);
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device);
cudaError_t cudaSetDevice(int device);
cudaError_t cudaDeviceSynchronize();
cudaError_t cudaMemGetInfo(size_t* free, size_t* total);
cudaError_t cudaMalloc(void** memory, size_t bytes);
cudaError_t cudaFree(void* memory);
cudaError_t cudaMallocHost(void** memory, size_t bytes);
cudaError_t cudaFreeHost(void* memory);
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags);
cudaError_t cudaStreamDestroy(cudaStream_t stream);
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned flags);
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags);
cudaError_t cudaEventDestroy(cudaEvent_t event);
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream);
cudaError_t cudaEventQuery(cudaEvent_t event);
cudaError_t cudaEventSynchronize(cudaEvent_t event);
cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode);
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph);
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* made, cudaGraph_t graph,
                                 unsigned long long flags);
cudaError_t cudaGraphDestroy(cudaGraph_t graph);
cudaError_t cudaGraphLaunch(cudaGraphExec_t graph, cudaStream_t stream);
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t graph);
cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream);

template <class T>
cudaError_t cudaMalloc(T** memory, size_t bytes) {
  void* taken = nullptr;
  const cudaError_t error = cudaMalloc(&taken, bytes);
  *memory = static_cast<T*>(taken);
  return error;
}

template <class T>
cudaError_t cudaMallocHost(T** memory, size_t bytes) {
  void* taken = nullptr;
  const cudaError_t error = cudaMallocHost(&taken, bytes);
  *memory = static_cast<T*>(taken);
  return error;
}

namespace shardmill::soft {

// Enqueues a kernel, in whose parameters these words lie.
cudaError_t Launch(const cudaLaunchConfig_t& how, const std::vector<uint64_t>& words,
                   std::function<void()> kernel);
// What lanes that are so far apart have.
uint64_t Exchange(uint64_t mine, unsigned apart);

template <class T>
void AddWords(T parameter, std::vector<uint64_t>& words) {
  __builtin_clear_padding(&parameter);
  for (size_t at = 0; at + sizeof(uint64_t) <= sizeof(T); at += sizeof(uint64_t)) {
    std::memcpy(&words.emplace_back(), reinterpret_cast<const char*>(&parameter) + at,
                sizeof(uint64_t));
  }
}

}  // namespace shardmill::soft

template <class... Parameters, class... Arguments>
cudaError_t cudaLaunchKernelEx(const cudaLaunchConfig_t* how, void (*kernel)(Parameters...),
                               const Arguments&... arguments) {
  std::vector<uint64_t> words;
  (shardmill::soft::AddWords<Parameters>(arguments, words), ...);
  return shardmill::soft::Launch(
      *how, words,
      [kernel, lent = std::tuple<Parameters...>(arguments...)] { std::apply(kernel, lent); });
}

void __syncthreads();

template <class T>
T __shfl_xor_sync(unsigned, T mine, int apart) {
  static_assert(sizeof(T) <= sizeof(uint64_t));
  uint64_t bits = 0;
  std::memcpy(&bits, &mine, sizeof(T));
  bits = shardmill::soft::Exchange(bits, static_cast<unsigned>(apart));
  std::memcpy(&mine, &bits, sizeof(T));
  return mine;
}
