// Stands in for device.cu where there is no CUDA toolkit.

#include "nn/ops/cuda/device.h"

namespace shardmill::nn::cuda {

Devices FindDevices() { return {0, "built without the CUDA toolkit"}; }

}  // namespace shardmill::nn::cuda
