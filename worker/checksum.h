#pragma once

#include <cstdint>
#include <span>

namespace shardmill {

// The CRC-32 of parameters, one tensor after the other. Equal weights, bit for bit, have equal
// checksums: how a repeated run is compared.
uint32_t WeightsChecksum(std::span<const std::span<const float>> tensors);

}  // namespace shardmill
