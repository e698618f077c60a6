#pragma once

#include <chrono>

namespace shardmill {

// Monotonic time, as the core sees it. Only differences mean anything.
using TimePoint = std::chrono::steady_clock::time_point;
using Duration = std::chrono::steady_clock::duration;

// The seam that tells time. The core never holds one: agents read it and pass `now` along.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual TimePoint Now() const = 0;
};

// The machine's monotonic clock. Any thread.
class SteadyClock final : public Clock {
 public:
  TimePoint Now() const override { return std::chrono::steady_clock::now(); }
};

}  // namespace shardmill
