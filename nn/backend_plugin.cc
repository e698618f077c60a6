#include "nn/backend_plugin.h"

#include <dlfcn.h>

#include <array>
#include <cstring>

namespace shardmill::nn {
namespace {

Error NoPlugin(const std::string& path, const std::string& why) {
  return {ErrorCode::kUnavailable, "the plugin " + path + " cannot be used: " + why};
}

}  // namespace

Result<std::unique_ptr<LoadedPlugin>> LoadedPlugin::Open(const std::string& path,
                                                         const std::string& build_id) {
  auto* const library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) return NoPlugin(path, dlerror());
  using Entry = const BackendPlugin* (*)();
  const auto entry = reinterpret_cast<Entry>(dlsym(library, kBackendPluginEntry));
  if (entry == nullptr) {
    return NoPlugin(path, std::string("it has no ") + kBackendPluginEntry);
  }
  const BackendPlugin* const plugin = entry();
  if (plugin == nullptr || plugin->build_id == nullptr) return NoPlugin(path, "it says nothing");
  if (plugin->build_id != build_id || plugin->size != sizeof(BackendPlugin)) {
    return NoPlugin(path, "it is of the build " + std::string(plugin->build_id) +
                              ", and this program of " + build_id +
                              "; install both from the same build");
  }
  return std::unique_ptr<LoadedPlugin>(new LoadedPlugin(*plugin));
}

Result<LoadedPlugin::BackendPointer> LoadedPlugin::Make(uint32_t device) const {
  std::array<char, 512> words{};
  Backend* const backend = plugin_.make(device, words.data(), words.size());
  if (backend == nullptr) return Error{ErrorCode::kUnavailable, words.data()};
  return BackendPointer(backend, Deleter{plugin_.destroy});
}

}  // namespace shardmill::nn
