#pragma once

#include <cstdint>
#include <string>

#include "common/job/job.h"
#include "common/result.h"
#include "nn/backend_plugin.h"

namespace shardmill {

// What a network computes on. Owned by the network's model, on its thread.
struct Device {
  nn::LoadedPlugin::BackendPointer backend;
  std::string words;  // What it is; and why it is no card, where one was asked for.
};

struct DeviceRequest {
  ComputeOptions compute = {};
  uint32_t rank = 0;         // Which of several cards.
  bool own_types = false;    // Layers of the user's own are computed by the processor alone.
  std::string library = {};  // That knows cards; see CardLibrary.
};

Device Processor();

// Fails in words where the job insists on a card and there is none that can be used.
Result<Device> OpenDevice(const DeviceRequest& request);

// Where the library lies: beside this program, or where it is built. A path in any case.
std::string CardLibrary();

}  // namespace shardmill
