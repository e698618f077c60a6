#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "common/clock.h"

namespace shardmill {

// A count that only grows. Owned by a Registry; any thread may call. Atomic because agents count
// while an HTTP thread reads; relaxed because no other memory hangs on it.
class Counter final {
 public:
  void Add(uint64_t count = 1) { value_.fetch_add(count, std::memory_order_relaxed); }
  uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> value_{0};
};

// A number that goes up and down. Owned by a Registry; any thread may call. Atomic for the same
// reason as Counter.
class Gauge final {
 public:
  void Set(double value) { value_.store(value, std::memory_order_relaxed); }
  double value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<double> value_{0};
};

// Time spent, which only grows. Owned by a Registry; any thread may call.
class TimeSpent final {
 public:
  void Add(Duration time) { nanoseconds_.Add(NanosecondsOf(time)); }
  double seconds() const { return static_cast<double>(nanoseconds_.value()) * 1e-9; }

 private:
  // A clock that goes back is none of ours.
  static uint64_t NanosecondsOf(Duration time) {
    const auto count = std::chrono::duration_cast<std::chrono::nanoseconds>(time).count();
    return count > 0 ? static_cast<uint64_t>(count) : 0;
  }

  Counter nanoseconds_;
};

// How long something took, each time. Owned by a Registry; any thread may call.
class Histogram final {
 public:
  // Upper limits of the buckets, in seconds: from what a small table takes to what a disk does.
  static constexpr std::array<double, 13> kLimits = {1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 0.01,
                                                     0.03, 0.1,  0.3,  1,    3,    10};

  void Observe(Duration took);

  // Those that took at most as long as the limit says; past the last limit: all.
  std::array<uint64_t, kLimits.size() + 1> Cumulated() const;
  double seconds() const { return sum_.seconds(); }

 private:
  std::array<Counter, kLimits.size() + 1> buckets_;
  TimeSpent sum_;
};

// Of low cardinality: a rank, a shard, a kind of message; never a key, a step or an address.
using Labels = std::vector<std::pair<std::string, std::string>>;

// All metrics of one process, rendered as the Prometheus text format, version 0.0.4. Owned by main
// and handed to whoever counts; the metrics live until they are removed, or as long as it does. Any
// thread may call: the mutex guards the list of metrics, not their values. A name that breaks the
// rules (below) or a metric that exists already is our own bug and fails an assertion.
class Registry final {
 public:
  Registry() = default;
  Registry(const Registry&) = delete;
  Registry& operator=(const Registry&) = delete;

  // `shardmill_` and words in snake case, base units last: seconds, bytes. A counter ends with
  // `_total` and a time spent with `_seconds_total`, a histogram with `_seconds`, a gauge with
  // anything else. Metrics of one name have one help text and differ in their labels.
  Counter& AddCounter(std::string_view name, std::string_view help, Labels labels = {});
  Gauge& AddGauge(std::string_view name, std::string_view help, Labels labels = {});
  TimeSpent& AddTimeSpent(std::string_view name, std::string_view help, Labels labels = {});
  Histogram& AddHistogram(std::string_view name, std::string_view help, Labels labels = {});

  // Ends the life of all metrics that have this label.
  void Remove(const Labels::value_type& label);

  std::string Render() const;

 private:
  using Metric = std::variant<Counter, Gauge, TimeSpent, Histogram>;
  struct Series {
    Labels labels;
    std::unique_ptr<Metric> metric;
  };
  struct Family {
    std::string name;
    std::string help;
    std::vector<Series> series;  // Of one alternative, and one at least.
  };

  template <class Kind>
  Kind& Add(std::string_view name, std::string_view help, Labels labels);
  Family& FamilyOf(std::string_view name, std::string_view help);

  mutable std::mutex mutex_;
  std::vector<Family> families_;
};

// What the Content-Type of Render() is.
inline constexpr std::string_view kMetricsContentType = "text/plain; version=0.0.4; charset=utf-8";

}  // namespace shardmill
