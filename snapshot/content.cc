#include "snapshot/content.h"

#include <bit>

#include "common/rng.h"

namespace shardmill {
namespace {

constexpr uint32_t kUpdatesSlot = ~uint32_t{0};
constexpr uint32_t kRowsSlot = kUpdatesSlot - 1;

uint64_t SaltOf(std::string_view table, uint32_t slot) { return Mix(MixText(table) + slot); }

// An odd factor: that an element is there counts too, and each bit of it reaches the sum.
uint64_t Element(uint64_t place, uint64_t value) { return Mix(place) * (2 * value + 1); }

uint64_t Floats(uint64_t place, std::span<const float> floats) {
  uint64_t sum = 0;
  for (const float value : floats) sum += Element(place++, std::bit_cast<uint32_t>(value));
  return sum;
}

}  // namespace

uint64_t DenseContent(std::string_view table, uint32_t slot, uint64_t begin,
                      std::span<const float> floats) {
  return Floats(SaltOf(table, slot) + begin, floats);
}

uint64_t UpdatesContent(std::string_view table, std::span<const UpdateRun> runs) {
  const uint64_t salt = SaltOf(table, kUpdatesSlot);
  uint64_t sum = 0;
  for (const UpdateRun& run : runs) {
    for (uint64_t at = run.begin; at < run.end; ++at) sum += Element(salt + at, run.updates);
  }
  return sum;
}

uint64_t RowsContent(std::string_view table, const RowBatch& batch) {
  const uint64_t salt = SaltOf(table, kRowsSlot);
  const std::span<const uint64_t> keys = batch.keys.keys();
  if (keys.empty()) return 0;
  const size_t dim = batch.values.floats().size() / keys.size();
  const size_t state = batch.state.floats().size() / keys.size();
  uint64_t sum = 0;
  for (size_t i = 0; i < keys.size(); ++i) {
    const uint64_t row = Mix(salt ^ Mix(keys[i]));
    sum += Floats(row, batch.values.floats().subspan(i * dim, dim));
    sum += Floats(row + dim, batch.state.floats().subspan(i * state, state));
  }
  return sum;
}

}  // namespace shardmill
