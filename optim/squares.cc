#include "optim/squares.h"

#include <array>
#include <cstddef>
#include <numeric>

namespace shardmill {

double SquaresOf(std::span<const float> numbers) {
  // So many sums side by side: one alone would wait for itself at each number.
  constexpr size_t kLanes = 32;
  std::array<double, kLanes> squares{};
  for (; numbers.size() >= kLanes; numbers = numbers.subspan(kLanes)) {
    for (size_t lane = 0; lane < kLanes; ++lane) {
      squares[lane] += static_cast<double>(numbers[lane]) * numbers[lane];
    }
  }
  for (const float value : numbers) squares[0] += static_cast<double>(value) * value;
  return std::accumulate(squares.begin(), squares.end(), 0.0);
}

}  // namespace shardmill
