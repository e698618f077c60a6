#pragma once

#include <cstdint>
#include <span>

namespace shardmill {

// What a table's floats are before the first push: uniform in [-scale, scale], a function of the
// seed and the float's place in the whole table, so that any shard of any run makes the same. A
// scale of zero means zeros.
struct Initial {
  float scale = 0;
  uint64_t seed = 0;

  bool operator==(const Initial&) const = default;
};

// The floats [begin, begin + values.size()) of a table.
void FillInitial(const Initial& initial, uint64_t begin, std::span<float> values);

}  // namespace shardmill
