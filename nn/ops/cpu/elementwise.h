#pragma once

#include <cstdint>

#include "nn/backend.h"

namespace shardmill::nn {

// `count` numbers; out may be in. Each number takes the same way and has the same bits wherever it
// lies in memory.
void ApplyTo(const Elementwise& function, const float* in, uint64_t count, float* out);

// out = exp(in - shift).
void ExpShifted(const float* in, float shift, uint64_t count, float* out);

}  // namespace shardmill::nn
