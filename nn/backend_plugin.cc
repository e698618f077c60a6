#include "nn/backend_plugin.h"

#include <array>
#include <type_traits>

namespace shardmill::nn {

Result<std::unique_ptr<LoadedPlugin>> LoadedPlugin::Open(const std::string& path,
                                                         const std::string& build_id) {
  static_assert(std::is_standard_layout_v<BackendPlugin>);
  const LibraryHead* const head =
      SM_TRY(OpenLibrary(path, kBackendPluginEntry, sizeof(BackendPlugin), build_id));
  return std::unique_ptr<LoadedPlugin>(
      new LoadedPlugin(*reinterpret_cast<const BackendPlugin*>(head)));
}

Result<LoadedPlugin::BackendPointer> LoadedPlugin::Make(const BackendSettings& settings) const {
  std::array<char, 512> words{};
  auto code = ErrorCode::kUnavailable;
  Backend* const backend = plugin_.make(settings, &code, words.data(), words.size());
  if (backend == nullptr) return Error{code, words.data()};
  return BackendPointer(backend, Deleter{plugin_.destroy});
}

}  // namespace shardmill::nn
