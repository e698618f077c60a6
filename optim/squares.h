#pragma once

#include <span>

namespace shardmill {

// The sum of the squares of these numbers.
double SquaresOf(std::span<const float> numbers);

}  // namespace shardmill
