#include <cuda_runtime.h>

#include "nn/ops/cuda/device.h"

namespace shardmill::nn::cuda {

Devices FindDevices() {
  Devices devices;
  const cudaError_t error = cudaGetDeviceCount(&devices.count);
  if (error != cudaSuccess) {
    devices.count = 0;
    devices.words = cudaGetErrorString(error);
    return devices;
  }
  cudaDeviceProp properties{};
  if (devices.count > 0 && cudaGetDeviceProperties(&properties, 0) == cudaSuccess) {
    devices.words = properties.name;
  }
  return devices;
}

}  // namespace shardmill::nn::cuda
