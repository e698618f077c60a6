#include "worker/checksum.h"

#include <zlib.h>

namespace shardmill {

uint32_t WeightsChecksum(std::span<const std::span<const float>> tensors) {
  uLong checksum = crc32(0, nullptr, 0);
  for (const std::span<const float> tensor : tensors) {
    const auto bytes = std::as_bytes(tensor);
    checksum = crc32_z(checksum, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size());
  }
  return static_cast<uint32_t>(checksum);
}

}  // namespace shardmill
