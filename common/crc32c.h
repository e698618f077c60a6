#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace shardmill {

// CRC-32C (Castagnoli) of bytes that may come in pieces: Crc32c(b, Crc32c(a)) is that of a, then b.
// It finds every error that lies within 32 bits.
uint32_t Crc32c(std::span<const std::byte> bytes, uint32_t before = 0);

}  // namespace shardmill
