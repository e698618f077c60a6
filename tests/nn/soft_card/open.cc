#include "tests/nn/soft_card/open.h"

#include <dlfcn.h>

#include <memory>
#include <utility>

#include "common/assert.h"
#include "nn/build_id.h"

namespace shardmill::nn {
namespace {

const LoadedPlugin& Library() {
  static const std::unique_ptr<LoadedPlugin> library =
      std::move(LoadedPlugin::Open(kSoftCardLibrary, kBuildId)).value();
  return *library;
}

}  // namespace

const soft::Control& SoftCard() {
  static_cast<void>(Library());
  auto* const again = dlopen(kSoftCardLibrary, RTLD_NOW | RTLD_NOLOAD);
  SM_ASSERT(again != nullptr);
  using Entry = const soft::Control* (*)();
  const auto entry = reinterpret_cast<Entry>(dlsym(again, soft::kEntry));
  SM_ASSERT(entry != nullptr);
  return *entry();
}

Result<LoadedPlugin::BackendPointer> OpenSoftCard(const soft::Settings& card,
                                                  const BackendSettings& settings) {
  SoftCard().reset(card);
  return Library().Make(settings);
}

}  // namespace shardmill::nn
