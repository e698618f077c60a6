#include "common/initial.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "common/rng.h"

namespace shardmill {
namespace {

// One number of its own for each place, by Box and Muller.
float NormalAt(uint64_t state, double deviation) {
  Rng rng(state);
  const double radius = std::sqrt(-2 * std::log(1 - rng.Uniform()));
  return static_cast<float>(deviation * radius * std::cos(2 * std::numbers::pi * rng.Uniform()));
}

float UniformAt(uint64_t state, double scale) {
  Rng rng(state);
  return static_cast<float>(scale * (2 * rng.Uniform() - 1));
}

void Fill(const Initial& initial, uint64_t seed, uint64_t begin, std::span<float> values) {
  const double scale = initial.scale;
  for (uint64_t i = 0; i < values.size(); ++i) {
    const uint64_t state = Mix(seed ^ Mix(begin + i));
    values[i] =
        initial.kind == Initial::Kind::kNormal ? NormalAt(state, scale) : UniformAt(state, scale);
  }
}

}  // namespace

Initial Initial::Xavier(uint64_t inputs, uint64_t outputs, uint64_t seed) {
  const double fans = std::max(1.0, static_cast<double>(inputs) + static_cast<double>(outputs));
  return Uniform(static_cast<float>(std::sqrt(6 / fans)), seed);
}

Initial Initial::Msra(uint64_t inputs, uint64_t seed) {
  const double fan = std::max(1.0, static_cast<double>(inputs));
  return Normal(static_cast<float>(std::sqrt(2 / fan)), seed);
}

Initial SaltedBy(const Initial& initial, std::string_view table) {
  Initial salted = initial;
  salted.seed = Mix(initial.seed ^ MixText(table));
  return salted;
}

void FillInitial(const Initial& initial, uint64_t begin, std::span<float> values) {
  if (initial.kind == Initial::Kind::kConstant) {
    std::ranges::fill(values, initial.scale);
  } else {
    Fill(initial, initial.seed, begin, values);
  }
}

void FillInitialRow(const Initial& initial, uint64_t key, std::span<float> row) {
  if (initial.kind == Initial::Kind::kConstant) {
    std::ranges::fill(row, initial.scale);
  } else {
    // Apart from the seeds of dense tables, whatever the key is.
    Fill(initial, Mix(initial.seed + Mix(~key)), 0, row);
  }
}

}  // namespace shardmill
