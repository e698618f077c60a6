// Stands in for the backend where there is no CUDA toolkit.

#include "nn/ops/cuda/make.h"

namespace shardmill::nn {

Result<std::unique_ptr<Backend>> MakeCudaBackend(const BackendSettings&) {
  return Error{ErrorCode::kBadUsage, "this was built without the CUDA toolkit"};
}

}  // namespace shardmill::nn
