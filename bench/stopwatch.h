#pragma once

#include <chrono>

namespace shardmill::bench {

// Seconds since it was made. A value.
class Stopwatch final {
 public:
  double Seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count();
  }

 private:
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
};

}  // namespace shardmill::bench
