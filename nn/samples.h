#pragma once

#include <cstdint>
#include <span>

#include "nn/loss.h"

namespace shardmill::nn {

// Rows of one input of a network: numbers, ids, or where they are sparse both, and where each row's
// end.
struct Input {
  std::span<const float> floats = {};
  std::span<const uint32_t> ids = {};
  std::span<const uint64_t> ends = {};
};

// A batch, borrowed for a call.
struct Samples {
  std::span<const Input> inputs;  // As the network's spec lists them.
  Targets targets;
  uint64_t rows = 0;
  uint64_t chance = 0;  // Of dropout: a function of the job's seed, the epoch, the rank, the step.
};

}  // namespace shardmill::nn
