#include "bench/statistics.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>

namespace shardmill::bench {

double Quantile(std::vector<double> samples, double part) {
  if (samples.empty()) return std::numeric_limits<double>::quiet_NaN();
  std::ranges::sort(samples);
  const double place = part * static_cast<double>(samples.size() - 1);
  const auto below = static_cast<size_t>(place);
  const size_t above = std::min(below + 1, samples.size() - 1);
  const double inside = place - std::floor(place);
  return samples[below] + inside * (samples[above] - samples[below]);
}

double Median(const std::vector<double>& samples) { return Quantile(samples, 0.5); }

double Spread(const std::vector<double>& samples) {
  const double range = Quantile(samples, 0.75) - Quantile(samples, 0.25);
  return range == 0 ? 0 : range / std::abs(Median(samples));
}

}  // namespace shardmill::bench
