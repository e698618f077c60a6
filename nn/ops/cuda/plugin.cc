// The plugin, which knows the libraries of CUDA, so that no program has to.
#include <cstdio>
#include <utility>

#include "nn/backend_plugin.h"
#include "nn/build_id.h"
#include "nn/ops/cuda/make.h"

namespace shardmill::nn {
namespace {

Backend* Make(const BackendSettings& settings, ErrorCode* code, char* words, uint64_t words_max) {
  Result<std::unique_ptr<Backend>> backend = MakeCudaBackend(settings);
  if (backend.ok()) return backend.value().release();
  *code = backend.error().code;
  std::snprintf(words, words_max, "%s", backend.error().message.c_str());
  return nullptr;
}

void Destroy(Backend* backend) { std::unique_ptr<Backend> gone(backend); }

constexpr BackendPlugin kPlugin{
    .head = {sizeof(BackendPlugin), kBuildId}, .make = Make, .destroy = Destroy};

}  // namespace
}  // namespace shardmill::nn

extern "C" const shardmill::nn::LibraryHead* shardmill_backend_plugin() {
  return &shardmill::nn::kPlugin.head;
}
