#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <iterator>
#include <limits>
#include <vector>

#include "common/rng.h"
#include "common/update.h"
#include "optim/optimizer.h"

namespace shardmill {
namespace {

using Limits = std::numeric_limits<float>;

constexpr auto kNan = std::bit_cast<uint32_t>(Limits::quiet_NaN());

// The bits of a sequence, and one and the same for every NaN: its sign is nothing that C++ or the
// processor's order of operands would promise.
std::vector<uint32_t> Bits(const std::vector<float>& values) {
  std::vector<uint32_t> bits;
  for (const float value : values) {
    bits.push_back(std::isnan(value) ? kNan : std::bit_cast<uint32_t>(value));
  }
  return bits;
}

// What a step and a step of rows leave of values with zeros, huge ones and infinities among them.
std::vector<uint32_t> Left(const UpdateSettings& settings, uint32_t dim, Vectors vectors) {
  const auto optimizer = MakeOptimizer(settings, vectors).value();
  constexpr float kOdd[] = {0, -0.0F, 1e25F, -1e-30F, 1e-42F, Limits::infinity()};
  Rng rng(dim);
  const auto any = [&] {
    return rng.Below(8) == 0 ? kOdd[rng.Below(std::size(kOdd))]
                             : static_cast<float>(2 * rng.Uniform() - 1);
  };
  std::vector<float> range(dim), row(RowFloats(dim, *optimizer)), change(dim);
  std::vector<float> state(uint64_t{dim} * optimizer->slots());
  std::ranges::generate(range, any);
  std::ranges::copy(range, row.begin());
  for (uint64_t count = 1; count <= 4; ++count) {
    std::ranges::generate(change, any);
    optimizer->Step({0.1F, count}, change, range, {state.data(), dim});
    const RowChange changes[] = {{row.data(), change.data(), 0.5F, 2}};
    optimizer->StepRows(0.1F, dim, changes);
  }
  std::vector<uint32_t> left = Bits(range);
  for (const auto& more : {Bits(state), Bits(row)})
    left.insert(left.end(), more.begin(), more.end());
  return left;
}

TEST(VectorsTest, LeavesTheSameBitsInVectorsOfAnyWidth) {
  if (!HasWideVectors()) GTEST_SKIP() << "this processor has no vectors of 512 bits";
  for (int rule = 0; rule <= static_cast<int>(UpdateRule::kMax); ++rule) {
    for (const uint32_t dim : {1U, 8U, 16U, 17U, 32U, 600U}) {
      for (const double l1 : {0.0, 0.25}) {
        UpdateSettings settings;
        settings.rule = static_cast<UpdateRule>(rule);
        settings.l1 = l1;
        ASSERT_EQ(Left(settings, dim, Vectors::kWidest), Left(settings, dim, Vectors::kAsBuilt))
            << "rule " << rule << ", dim " << dim << ", l1 " << l1;
      }
    }
  }
}

}  // namespace
}  // namespace shardmill
