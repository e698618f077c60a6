#include "tests/nn/gradient_check.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "common/rng.h"

namespace shardmill::nn {

std::vector<float> RandomFloats(uint64_t seed, size_t count) {
  Rng rng(seed);
  std::vector<float> values(count);
  for (float& value : values) value = static_cast<float>(2 * rng.Uniform() - 1);
  return values;
}

std::vector<double> Doubles(std::span<const float> values) {
  return {values.begin(), values.end()};
}

std::vector<double> NumericGradient(
    const std::function<double(const std::vector<double>&)>& function,
    const std::vector<double>& point) {
  constexpr double kStep = 1e-5;
  std::vector<double> gradient(point.size());
  std::vector<double> near = point;
  for (size_t i = 0; i < point.size(); ++i) {
    near[i] = point[i] + kStep;
    const double above = function(near);
    near[i] = point[i] - kStep;
    const double below = function(near);
    near[i] = point[i];
    gradient[i] = (above - below) / (2 * kStep);
  }
  return gradient;
}

double MaxDifference(std::span<const float> got, std::span<const double> want) {
  if (got.size() != want.size()) return std::numeric_limits<double>::infinity();
  double most = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    const double difference = std::abs(static_cast<double>(got[i]) - want[i]);
    if (std::isnan(difference)) return std::numeric_limits<double>::infinity();
    most = std::max(most, difference);
  }
  return most;
}

std::vector<double> AffineReference(std::span<const double> input, std::span<const double> weight,
                                    std::span<const double> bias) {
  const size_t units = bias.size();
  const size_t inputs = weight.size() / units;
  const size_t rows = input.size() / inputs;
  std::vector<double> output(rows * units);
  for (size_t r = 0; r < rows; ++r) {
    for (size_t u = 0; u < units; ++u) {
      double sum = bias[u];
      for (size_t i = 0; i < inputs; ++i) sum += input[r * inputs + i] * weight[i * units + u];
      output[r * units + u] = sum;
    }
  }
  return output;
}

double CrossEntropyReference(std::span<const double> logits, std::span<const uint32_t> labels) {
  const size_t classes = logits.size() / labels.size();
  double loss = 0;
  for (size_t r = 0; r < labels.size(); ++r) {
    double sum = 0;
    for (size_t c = 0; c < classes; ++c) sum += std::exp(logits[r * classes + c]);
    loss -= std::log(std::exp(logits[r * classes + labels[r]]) / sum);
  }
  return loss;
}

}  // namespace shardmill::nn
