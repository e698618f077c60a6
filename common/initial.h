#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace shardmill {

// What a table's floats are before the first push: a function of the table, the seed and the
// float's place (in a sparse table, its row's key and its place in the row), so that any shard of
// any run makes the same. A value.
struct Initial {
  enum class Kind : uint8_t {
    kConstant,  // `scale` itself.
    kUniform,   // In [-scale, scale].
    kNormal,    // Mean zero, deviation `scale`.
  };

  Kind kind = Kind::kConstant;
  float scale = 0;
  uint64_t seed = 0;

  static Initial Constant(float value) { return {Kind::kConstant, value, 0}; }
  static Initial Uniform(float scale, uint64_t seed) { return {Kind::kUniform, scale, seed}; }
  static Initial Normal(float deviation, uint64_t seed) { return {Kind::kNormal, deviation, seed}; }
  // By Glorot and Bengio: uniform, as wide as keeps the variance through a layer of these sizes.
  static Initial Xavier(uint64_t inputs, uint64_t outputs, uint64_t seed);
  // By He and others, for layers that end in a rectifier: normal.
  static Initial Msra(uint64_t inputs, uint64_t seed);

  bool operator==(const Initial&) const = default;
};

// The same with a seed that two tables of one job never share.
Initial SaltedBy(const Initial& initial, std::string_view table);

// The floats [begin, begin + values.size()) of a dense table.
void FillInitial(const Initial& initial, uint64_t begin, std::span<float> values);
// A whole row of a sparse table.
void FillInitialRow(const Initial& initial, uint64_t key, std::span<float> row);

}  // namespace shardmill
