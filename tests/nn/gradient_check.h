#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

// What the tests of gradients share. All of it is in double, and none of it knows the code under
// test.
namespace shardmill::nn {

// Uniform in [-1, 1).
std::vector<float> RandomFloats(uint64_t seed, size_t count);

std::vector<double> Doubles(std::span<const float> values);

// The gradient of `function` at a point by central differences. With a step of 1e-5 their own error
// is below 1e-9 for functions as tame as these.
std::vector<double> NumericGradient(
    const std::function<double(const std::vector<double>&)>& function,
    const std::vector<double>& point);

// The greatest difference between two lists of the same length; infinite where one is a NaN or the
// lengths differ.
double MaxDifference(std::span<const float> got, std::span<const double> want);

// output = input weight + bias, all row by row.
std::vector<double> AffineReference(std::span<const double> input, std::span<const double> weight,
                                    std::span<const double> bias);

// The sum over rows of -log(softmax(logits)[label]), straight from the definition.
double CrossEntropyReference(std::span<const double> logits, std::span<const uint32_t> labels);

}  // namespace shardmill::nn
