// What layers give, against their definitions written out in double.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "tests/nn/gradient_check.h"
#include "tests/nn/layer_check.h"

namespace shardmill::nn {
namespace {

using Doubled = std::vector<double>;

ValueType Floats(const Shape& row) { return {ValueKind::kFloats, row}; }

// Pictures [rows, height, width, channels], zero outside.
struct Pictures {
  uint64_t rows, height, width, channels;
  Doubled numbers;

  bool Has(int64_t y, int64_t x) const {
    return y >= 0 && x >= 0 && y < static_cast<int64_t>(height) && x < static_cast<int64_t>(width);
  }
  double At(uint64_t row, int64_t y, int64_t x, uint64_t channel) const {
    if (!Has(y, x)) return 0;
    const uint64_t place = (row * height + static_cast<uint64_t>(y)) * width;
    return numbers[(place + static_cast<uint64_t>(x)) * channels + channel];
  }
};

// Calls `value(row, y, x, channel)`, with the window's first place in the input, for each number of
// the output in turn.
template <class Value>
Doubled ByPlaces(const Pictures& in, const LayerSpec& spec, uint64_t channels, Value value) {
  const uint64_t padding = spec.padding.value_or(0);
  const uint64_t height = (in.height + 2 * padding - spec.kernel) / spec.stride + 1;
  const uint64_t width = (in.width + 2 * padding - spec.kernel) / spec.stride + 1;
  Doubled out;
  for (uint64_t row = 0; row < in.rows; ++row) {
    for (uint64_t y = 0; y < height; ++y) {
      for (uint64_t x = 0; x < width; ++x) {
        for (uint64_t channel = 0; channel < channels; ++channel) {
          out.push_back(value(row, static_cast<int64_t>(y * spec.stride - padding),
                              static_cast<int64_t>(x * spec.stride - padding), channel));
        }
      }
    }
  }
  return out;
}

Doubled Convolved(const Pictures& in, const LayerSpec& spec, const Doubled& weight,
                  const Doubled& bias) {
  const uint64_t each = in.channels / spec.groups;
  return ByPlaces(in, spec, spec.units, [&](uint64_t row, int64_t y, int64_t x, uint64_t out) {
    const uint64_t group = out / (spec.units / spec.groups);
    double sum = bias[out];
    for (uint64_t dy = 0; dy < spec.kernel; ++dy) {
      for (uint64_t dx = 0; dx < spec.kernel; ++dx) {
        for (uint64_t c = 0; c < each; ++c) {
          sum += weight[((dy * spec.kernel + dx) * each + c) * spec.units + out] *
                 in.At(row, y + static_cast<int64_t>(dy), x + static_cast<int64_t>(dx),
                       group * each + c);
        }
      }
    }
    return sum;
  });
}

Doubled Pooled(const Pictures& in, const LayerSpec& spec) {
  return ByPlaces(in, spec, in.channels, [&](uint64_t row, int64_t y, int64_t x, uint64_t channel) {
    double greatest = -std::numeric_limits<double>::infinity(), sum = 0, count = 0;
    for (int64_t dy = 0; dy < static_cast<int64_t>(spec.kernel); ++dy) {
      for (int64_t dx = 0; dx < static_cast<int64_t>(spec.kernel); ++dx) {
        if (!in.Has(y + dy, x + dx)) continue;
        greatest = std::max(greatest, in.At(row, y + dy, x + dx, channel));
        sum += in.At(row, y + dy, x + dx, channel);
        ++count;
      }
    }
    return spec.type == "max_pool" ? greatest : sum / count;
  });
}

TEST(ConvolutionTest, GivesWhatTheDefinitionGives) {
  for (const LayerSpec& spec :
       {LayerSpec{.type = "conv2d", .units = 4, .kernel = 3, .stride = 1, .groups = 1},
        LayerSpec{
            .type = "conv2d", .units = 6, .kernel = 2, .stride = 2, .padding = 1, .groups = 2},
        LayerSpec{
            .type = "conv2d", .units = 32, .kernel = 3, .stride = 1, .padding = 1, .groups = 32}}) {
    const uint64_t channels = spec.groups == 32 ? 32 : 4;
    LayerCheck check(spec, {Floats({5, 7, channels})}, 2);
    check.Forward();
    const Pictures in{2, 5, 7, channels, Doubles(check.inputs()[0])};
    const Doubled want =
        Convolved(in, spec, Doubles(check.parameters()[0]), Doubles(check.parameters()[1]));
    EXPECT_LT(MaxDifference(check.output(), want), 2e-5) << spec.groups;
  }
}

TEST(PoolingTest, GivesWhatTheDefinitionGives) {
  for (const char* type : {"max_pool", "average_pool"}) {
    const LayerSpec spec{.type = type, .kernel = 3, .stride = 2, .padding = 1};
    LayerCheck check(spec, {Floats({6, 5, 3})}, 2);
    check.Forward();
    const Pictures in{2, 6, 5, 3, Doubles(check.inputs()[0])};
    EXPECT_LT(MaxDifference(check.output(), Pooled(in, spec)), 1e-6) << type;
  }
}

TEST(PoolingTest, ShowsANumberThatIsNone) {
  LayerCheck check({.type = "max_pool", .kernel = 2}, {Floats({2, 2})}, 1);
  for (float& number : check.inputs()[0]) number = 1;
  check.inputs()[0][1] = std::numeric_limits<float>::quiet_NaN();
  check.Forward();
  EXPECT_TRUE(std::isnan(check.output()[0]));
}

TEST(BatchNormTest, HasTheMeanAndTheVarianceOfTheBatchInTrainingAndRunningOnesElsewhere) {
  constexpr uint64_t kRows = 7, kColumns = 3;
  LayerCheck check({"batch_norm1d"}, {Floats({kColumns})}, kRows);
  std::ranges::transform(check.parameters()[3], check.parameters()[3].begin(),
                         [](float variance) { return variance + 2; });
  const Doubled in = Doubles(check.inputs()[0]);
  const auto by = [&](size_t parameter, size_t c) {
    return static_cast<double>(check.parameters()[parameter][c]);
  };
  for (const bool training : {true, false}) {
    Doubled want(in.size());
    for (size_t c = 0; c < kColumns; ++c) {
      double mean = 0, variance = 0;
      for (size_t row = 0; row < kRows; ++row) mean += in[row * kColumns + c] / kRows;
      for (size_t row = 0; row < kRows; ++row) {
        variance += std::pow(in[row * kColumns + c] - mean, 2) / kRows;
      }
      if (!training) mean = by(2, c);
      if (!training) variance = by(3, c);
      for (size_t row = 0; row < kRows; ++row) {
        want[row * kColumns + c] =
            (in[row * kColumns + c] - mean) / std::sqrt(variance + 1e-5) * by(0, c) + by(1, c);
      }
    }
    check.Forward(training);
    EXPECT_LT(MaxDifference(check.output(), want), 1e-5) << training;
  }
}

TEST(LayerNormTest, HasMeanZeroAndDeviationOneBeforeItsScale) {
  LayerCheck check({"layer_norm"}, {Floats({3, 12})}, 2);
  std::ranges::fill(check.parameters()[0], 1.0F);
  std::ranges::fill(check.parameters()[1], 0.0F);
  check.Forward();
  for (size_t row = 0; row < 6; ++row) {
    double sum = 0, squares = 0;
    for (size_t i = 0; i < 12; ++i) {
      const auto value = static_cast<double>(check.output()[row * 12 + i]);
      sum += value;
      squares += value * value;
    }
    EXPECT_NEAR(sum, 0, 1e-5);
    EXPECT_NEAR(squares, 12, 1e-3);
  }
}

TEST(SoftmaxTest, GivesShares) {
  LayerCheck check({"softmax"}, {Floats({3})}, 1);
  check.inputs()[0] = {1, 2, 1000};
  check.Forward();
  EXPECT_LT(MaxDifference(check.output(), Doubled{0, 0, 1}), 1e-6);
  check.inputs()[0] = {0, std::log(3.0F), 0};
  check.Forward();
  EXPECT_NEAR(check.output()[1], 0.6, 1e-6);
}

TEST(DropoutTest, DropsItsShareAndKeepsTheMean) {
  constexpr uint64_t kCount = 20'000;
  LayerCheck check({.type = "dropout", .rate = 0.3}, {Floats({kCount})}, 1);
  std::ranges::fill(check.inputs()[0], 1.0F);
  check.Forward();
  double sum = 0;
  for (const float value : check.output()) sum += static_cast<double>(value);
  const auto dropped = std::ranges::count(check.output(), 0.0F);
  // Four deviations of so many draws.
  EXPECT_NEAR(static_cast<double>(dropped) / kCount, 0.3, 0.013);
  EXPECT_NEAR(sum / kCount, 1, 0.02);
  check.Forward(false);
  EXPECT_EQ(check.output(), check.inputs()[0]);
}

TEST(RecurrentTest, GivesWhatTheDefinitionOfLstmGives) {
  constexpr size_t kTimes = 4, kNumbers = 3, kUnits = 2, kWidth = 4 * kUnits;
  LayerCheck check({.type = "lstm", .units = kUnits, .cell_output = "all"},
                   {Floats({kTimes, kNumbers})}, 1);
  check.Forward();
  const Doubled in = Doubles(check.inputs()[0]);
  const Doubled weight = Doubles(check.parameters()[0]), again = Doubles(check.parameters()[1]);
  const Doubled bias = Doubles(check.parameters()[2]);
  Doubled shown(kUnits), cell(kUnits), want;
  for (size_t time = 0; time < kTimes; ++time) {
    Doubled gates = bias;
    for (size_t g = 0; g < kWidth; ++g) {
      for (size_t i = 0; i < kNumbers; ++i)
        gates[g] += in[time * kNumbers + i] * weight[i * kWidth + g];
      for (size_t u = 0; u < kUnits; ++u) gates[g] += shown[u] * again[u * kWidth + g];
    }
    const auto share = [&](size_t gate, size_t u) {
      return 1 / (1 + std::exp(-gates[gate * kUnits + u]));
    };
    for (size_t u = 0; u < kUnits; ++u) {
      cell[u] = share(1, u) * cell[u] + share(0, u) * std::tanh(gates[2 * kUnits + u]);
      shown[u] = share(3, u) * std::tanh(cell[u]);
    }
    want.insert(want.end(), shown.begin(), shown.end());
  }
  EXPECT_LT(MaxDifference(check.output(), want), 1e-6);
}

TEST(EmbeddingTest, GivesTheRowsThatIdsNameAndTheirSum) {
  for (const char* type : {"embedding", "embedding_bag"}) {
    const ValueType ids{ValueKind::kIndices, {4}};
    LayerCheck check({.type = type, .units = 2, .rows = 3}, {ids}, 1);
    check.Forward();
    const bool bag = std::string(type) == "embedding_bag";
    std::vector<double> want(bag ? 2 : 8);
    for (size_t i = 0; i < 4; ++i) {
      for (size_t d = 0; d < 2; ++d) {
        want[(bag ? 0 : 2 * i) + d] +=
            static_cast<double>(check.parameters()[0][2 * check.ids()[0][i] + d]);
      }
    }
    EXPECT_LT(MaxDifference(check.output(), want), 1e-6) << type;
  }
}

TEST(FactorizationTest, SumsTheProductsOfEachTwoFields) {
  LayerCheck check({"fm"}, {Floats({3, 2})}, 1);
  check.inputs()[0] = {1, 2, 3, 4, 5, 6};
  check.Forward();
  EXPECT_FLOAT_EQ(check.output()[0], (1 * 3 + 2 * 4) + (1 * 5 + 2 * 6) + (3 * 5 + 4 * 6));
}

TEST(MergeTest, LaysInputsBesideEachOther) {
  LayerCheck check({"concat"}, {Floats({2, 1}), Floats({2, 2})}, 1);
  check.inputs()[0] = {1, 4};
  check.inputs()[1] = {2, 3, 5, 6};
  check.Forward();
  EXPECT_EQ(check.output(), (std::vector<float>{1, 2, 3, 4, 5, 6}));
}

}  // namespace
}  // namespace shardmill::nn
