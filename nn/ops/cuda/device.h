#pragma once

#include <string>

namespace shardmill::nn::cuda {

// What this machine offers for training on a card. No cards: use the CPU; `words` say why.
struct Devices {
  int count = 0;
  std::string words;
};

// Asks the driver. Never fails; a build without the toolkit says that it is one.
Devices FindDevices();

}  // namespace shardmill::nn::cuda
