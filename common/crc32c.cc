#include "common/crc32c.h"

#include <array>
#include <cstring>

namespace shardmill {
namespace {

#ifdef __SSE4_2__

uint32_t Step(uint32_t crc, std::byte next) {
  return __builtin_ia32_crc32qi(crc, static_cast<uint8_t>(next));
}

uint32_t StepWord(uint32_t crc, const std::byte* next) {
  uint64_t word = 0;
  std::memcpy(&word, next, sizeof(word));
  return static_cast<uint32_t>(__builtin_ia32_crc32di(crc, word));
}

#else

constexpr std::array<uint32_t, 256> kTable = [] {
  std::array<uint32_t, 256> table{};
  for (uint32_t i = 0; i < table.size(); ++i) {
    uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82f63b78U : 0U);
    table[i] = crc;
  }
  return table;
}();

uint32_t Step(uint32_t crc, std::byte next) {
  return (crc >> 8) ^ kTable[(crc ^ static_cast<uint8_t>(next)) & 0xff];
}

uint32_t StepWord(uint32_t crc, const std::byte* next) {
  for (size_t i = 0; i < sizeof(uint64_t); ++i) crc = Step(crc, next[i]);
  return crc;
}

#endif

}  // namespace

uint32_t Crc32c(std::span<const std::byte> bytes, uint32_t before) {
  uint32_t crc = ~before;
  size_t at = 0;
  for (; bytes.size() - at >= sizeof(uint64_t); at += sizeof(uint64_t)) {
    crc = StepWord(crc, bytes.data() + at);
  }
  for (; at < bytes.size(); ++at) crc = Step(crc, bytes[at]);
  return ~crc;
}

}  // namespace shardmill
