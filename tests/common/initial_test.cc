#include "common/initial.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <vector>

namespace shardmill {
namespace {

constexpr size_t kValues = 100'000;

std::vector<float> Filled(const Initial& initial, uint64_t begin, size_t count) {
  std::vector<float> values(count);
  FillInitial(initial, begin, values);
  return values;
}

std::vector<float> RowOf(const Initial& initial, uint64_t key, size_t dim) {
  std::vector<float> row(dim);
  FillInitialRow(initial, key, row);
  return row;
}

// The first float of a hundred thousand rows.
std::vector<float> Column(const Initial& initial) {
  std::vector<float> column(kValues);
  for (uint64_t key = 0; key < kValues; ++key) {
    FillInitialRow(initial, key, std::span(column).subspan(key, 1));
  }
  return column;
}

// The mean of the values to this power.
double Moment(std::span<const float> values, int power) {
  double sum = 0;
  for (const float value : values) sum += std::pow(static_cast<double>(value), power);
  return sum / static_cast<double>(values.size());
}

// The mean product of values of one list with those of another.
double Product(std::span<const float> a, std::span<const float> b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += static_cast<double>(a[i]) * b[i];
  return sum / static_cast<double>(a.size());
}

// The bounds are five standard deviations of each estimate over a hundred thousand values.
void ExpectUniform(std::span<const float> values, double scale) {
  const double s2 = scale * scale;
  EXPECT_NEAR(Moment(values, 1), 0, 0.0092 * scale);
  EXPECT_NEAR(Moment(values, 2), s2 / 3, 0.0048 * s2);
  EXPECT_NEAR(Moment(values, 4), s2 * s2 / 5, 0.0043 * s2 * s2);
  const auto [least, greatest] = std::ranges::minmax(values);
  EXPECT_GE(least, -scale);
  EXPECT_LT(least, -0.999 * scale);
  EXPECT_LE(greatest, scale);
  EXPECT_GT(greatest, 0.999 * scale);
}

void ExpectNormal(std::span<const float> values, double deviation) {
  const double d2 = deviation * deviation;
  EXPECT_NEAR(Moment(values, 1), 0, 0.016 * deviation);
  EXPECT_NEAR(Moment(values, 2), d2, 0.023 * d2);
  EXPECT_NEAR(Moment(values, 3), 0, 0.062 * d2 * deviation);
  EXPECT_NEAR(Moment(values, 4), 3 * d2 * d2, 0.16 * d2 * d2);
  const auto inside =
      std::ranges::count_if(values, [&](float value) { return std::abs(value) < deviation; });
  EXPECT_NEAR(static_cast<double>(inside) / kValues, 0.682689, 0.0074);
}

TEST(InitialTest, IsTheSameEverywhereWhenConstant) {
  const Initial initial = Initial::Constant(-1.5F);
  EXPECT_EQ(Filled(initial, 7, 3), (std::vector<float>{-1.5F, -1.5F, -1.5F}));
  EXPECT_EQ(RowOf(initial, 7, 2), (std::vector<float>{-1.5F, -1.5F}));
  EXPECT_EQ(Filled(Initial{}, 0, 2), (std::vector<float>{0, 0}));
}

TEST(InitialTest, SpreadsUniformValuesEvenly) {
  ExpectUniform(Filled(Initial::Uniform(1, 1), 0, kValues), 1);
  ExpectUniform(Filled(Initial::Uniform(0.05F, 2), 1'000'000'007, kValues), 0.05F);
}

TEST(InitialTest, HasTheMomentsOfANormalDistribution) {
  ExpectNormal(Filled(Initial::Normal(1, 1), 0, kValues), 1);
  ExpectNormal(Filled(Initial::Normal(0.02F, 2), 1'000'000'007, kValues), 0.02F);
}

TEST(InitialTest, HasTheSameMomentsAcrossRows) {
  ExpectUniform(Column(Initial::Uniform(1, 1)), 1);
  ExpectNormal(Column(Initial::Normal(1, 1)), 1);
}

TEST(InitialTest, HasTheSameMomentsAlongARow) {
  ExpectNormal(RowOf(Initial::Normal(1, 1), 0, kValues), 1);
  ExpectUniform(RowOf(Initial::Uniform(1, 1), ~uint64_t{0}, kValues), 1);
}

TEST(InitialTest, IsAsWideAsGlorotAndBengioHaveIt) {
  EXPECT_EQ(Initial::Xavier(100, 50, 9), Initial::Uniform(0.2F, 9));
  ExpectUniform(Filled(Initial::Xavier(400, 200, 9), 0, kValues), 0.1);
}

TEST(InitialTest, IsAsWideAsHeAndOthersHaveIt) {
  EXPECT_EQ(Initial::Msra(200, 9), Initial::Normal(0.1F, 9));
  ExpectNormal(Filled(Initial::Msra(800, 9), 0, kValues), 0.05);
}

TEST(InitialTest, StaysFiniteForALayerOfNothing) {
  EXPECT_TRUE(std::isfinite(Initial::Xavier(0, 0, 1).scale));
  EXPECT_TRUE(std::isfinite(Initial::Msra(0, 1).scale));
}

TEST(InitialTest, GivesAFloatItsValueByItsPlaceWhereverATableIsCut) {
  for (const Initial& initial : {Initial::Uniform(1, 5), Initial::Normal(1, 5)}) {
    const std::vector<float> whole = Filled(initial, 0, 1000);
    for (const uint64_t cut : {1, 333, 999}) {
      EXPECT_EQ(Filled(initial, cut, 1000 - cut),
                std::vector<float>(whole.begin() + static_cast<ptrdiff_t>(cut), whole.end()));
    }
  }
}

TEST(InitialTest, GivesARowItsValuesByItsKey) {
  const Initial initial = Initial::Normal(1, 5);
  EXPECT_EQ(RowOf(initial, 17, 8), RowOf(initial, 17, 8));
  EXPECT_NE(RowOf(initial, 17, 8), RowOf(initial, 18, 8));
  EXPECT_NE(RowOf(initial, 17, 8), RowOf(Initial::Normal(1, 6), 17, 8));
}

// Five standard deviations of a mean product are 0.016.
TEST(InitialTest, RelatesNeighboursNoMoreThanChanceDoes) {
  const Initial initial = Initial::Normal(1, 5);
  const std::vector<float> values = Filled(initial, 0, kValues + 1);
  const std::span<const float> span(values);
  EXPECT_NEAR(Product(span.first(kValues), span.subspan(1)), 0, 0.016);
  const std::vector<float> column = Column(initial);
  EXPECT_NEAR(Product(column, Filled(initial, 0, kValues)), 0, 0.016);
  EXPECT_NEAR(Product(column, Column(Initial::Normal(1, 6))), 0, 0.016);
  EXPECT_NEAR(Product(RowOf(initial, 1, kValues), RowOf(initial, 2, kValues)), 0, 0.016);
}

TEST(InitialTest, SaltsTheSeedAloneAndByTheNameOfTheTable) {
  const Initial initial = Initial::Normal(0.5F, 5);
  const Initial salted = SaltedBy(initial, "words");
  EXPECT_EQ(salted, SaltedBy(initial, "words"));
  EXPECT_EQ(salted.kind, initial.kind);
  EXPECT_EQ(salted.scale, initial.scale);
  EXPECT_NE(salted.seed, initial.seed);
  EXPECT_NE(salted.seed, SaltedBy(Initial::Normal(0.5F, 6), "words").seed);
}

TEST(InitialTest, SaltsTablesOfLikeNamesApart) {
  const Initial initial = Initial::Normal(1, 5);
  std::vector<uint64_t> seeds;
  for (const char* name :
       {"", "a", "aa", "aaa", "b", "ab", "ba", "layer1.weight", "layer2.weight"}) {
    seeds.push_back(SaltedBy(initial, name).seed);
  }
  std::ranges::sort(seeds);
  EXPECT_EQ(std::ranges::adjacent_find(seeds), seeds.end());
  EXPECT_NEAR(Product(Filled(SaltedBy(initial, "a"), 0, kValues),
                      Filled(SaltedBy(initial, "b"), 0, kValues)),
              0, 0.016);
}

}  // namespace
}  // namespace shardmill
