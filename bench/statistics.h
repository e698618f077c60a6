#pragma once

#include <vector>

namespace shardmill::bench {

// The value below which so much of the samples lies, `part` in [0, 1], between two neighbours where
// it must. Of no samples: NaN.
double Quantile(std::vector<double> samples, double part);

double Median(const std::vector<double>& samples);

// The interquartile range relative to the median: half of all samples lie in a band so wide.
double Spread(const std::vector<double>& samples);

}  // namespace shardmill::bench
