#pragma once

#include <memory>

#include "common/result.h"
#include "nn/backend_plugin.h"

namespace shardmill::nn {

// A card as a backend. Fails in words where there is none that can be used, or where this was built
// without the CUDA toolkit.
Result<std::unique_ptr<Backend>> MakeCudaBackend(const BackendSettings& settings);

}  // namespace shardmill::nn
