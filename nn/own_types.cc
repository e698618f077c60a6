#include "nn/own_types.h"

#include <type_traits>

namespace shardmill::nn {

Result<const OwnTypes*> OpenOwnTypes(const std::string& path) {
  static_assert(std::is_standard_layout_v<OwnTypes>);
  const LibraryHead* const head =
      SM_TRY(OpenLibrary(path, kOwnTypesEntry, sizeof(OwnTypes), kBuildId));
  return reinterpret_cast<const OwnTypes*>(head);
}

}  // namespace shardmill::nn
