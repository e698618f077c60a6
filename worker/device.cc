#include "worker/device.h"

#include <filesystem>
#include <memory>
#include <system_error>
#include <utility>

#include "nn/build_id.h"
#include "nn/ops/cpu/backend.h"

namespace shardmill {
namespace {

namespace fs = std::filesystem;

nn::Products ProductsOf(ProductRounding rounding) {
  switch (rounding) {
    case ProductRounding::kFloat:
      return nn::Products::kFloat;
    case ProductRounding::kTf32:
      return nn::Products::kTf32;
    case ProductRounding::kBf16:
      return nn::Products::kBf16;
  }
  return nn::Products::kFloat;
}

Result<nn::LoadedPlugin::BackendPointer> OpenCard(const DeviceRequest& request) {
  if (request.own_types) {
    return Error{ErrorCode::kBadUsage,
                 "the layers of model.library are computed by the processor alone"};
  }
  const std::unique_ptr<nn::LoadedPlugin> plugin =
      SM_TRY(nn::LoadedPlugin::Open(request.library, nn::kBuildId));
  return plugin->Make({.device = request.rank, .products = ProductsOf(request.compute.products)});
}

}  // namespace

Device Processor() {
  const auto destroy = [](nn::Backend* backend) { std::unique_ptr<nn::Backend> gone(backend); };
  return {nn::LoadedPlugin::BackendPointer(std::make_unique<nn::CpuBackend>().release(), {destroy}),
          "the processor"};
}

Result<Device> OpenDevice(const DeviceRequest& request) {
  if (request.compute.device == ComputeDevice::kCpu) return Processor();
  Result<nn::LoadedPlugin::BackendPointer> card = OpenCard(request);
  if (card.ok()) {
    std::string name = card.value()->name();
    return Device{std::move(card).value(), std::move(name)};
  }
  if (request.compute.device == ComputeDevice::kCuda) {
    return Error{card.error().code, "\"compute.device\" is \"cuda\": " + card.error().message +
                                        "; \"auto\" takes the processor where there is no card"};
  }
  Device device = Processor();
  device.words += ", since " + card.error().message;
  return device;
}

std::string CardLibrary() {
  constexpr const char* kName = "libshardmill_cuda.so";
  std::error_code none;
  const fs::path folder = fs::read_symlink("/proc/self/exe", none).parent_path();
  for (const fs::path& place : {folder, folder.parent_path() / "nn" / "ops" / "cuda"}) {
    if (fs::exists(place / kName, none)) return (place / kName).string();
  }
  return (folder / kName).string();
}

}  // namespace shardmill
