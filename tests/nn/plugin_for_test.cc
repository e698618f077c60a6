// A plugin as the tests open one: the CPU once more, and a device 7 that is not there.
#include <cstdio>
#include <memory>

#include "nn/backend_plugin.h"
#include "nn/ops/cpu/backend.h"

namespace shardmill::nn {
namespace {

Backend* Make(const BackendSettings& settings, ErrorCode* code, char* words, uint64_t words_max) {
  if (settings.device < 7) return std::make_unique<CpuBackend>().release();
  *code = ErrorCode::kBadUsage;
  std::snprintf(words, words_max, "there is no device %u", settings.device);
  return nullptr;
}

void Destroy(Backend* backend) { std::unique_ptr<Backend> gone(backend); }

constexpr BackendPlugin kPlugin{
    .head = {sizeof(BackendPlugin), "test-build"}, .make = Make, .destroy = Destroy};

}  // namespace
}  // namespace shardmill::nn

extern "C" const shardmill::nn::LibraryHead* shardmill_backend_plugin() {
  return &shardmill::nn::kPlugin.head;
}
