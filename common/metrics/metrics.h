#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

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

// Of low cardinality: a rank, a shard, a kind of message; never a key, a step or an address.
using Labels = std::vector<std::pair<std::string, std::string>>;

// All metrics of one process, rendered as the Prometheus text format, version 0.0.4. Owned by main
// and handed to whoever counts; the metrics live as long as it does. Any thread may call: the mutex
// guards the list of metrics, not their values. A name that breaks the rules (below) or a metric
// that exists already is our own bug and fails an assertion.
class Registry final {
 public:
  Registry() = default;
  Registry(const Registry&) = delete;
  Registry& operator=(const Registry&) = delete;

  // `shardmill_` and words in snake case, base units last: seconds, bytes. A counter ends with
  // `_total`, a gauge does not. Metrics of one name have one help text and differ in their labels.
  Counter& AddCounter(std::string_view name, std::string_view help, Labels labels = {});
  Gauge& AddGauge(std::string_view name, std::string_view help, Labels labels = {});

  std::string Render() const;

 private:
  struct Series {
    std::string labels;  // As rendered, braces included; empty where there are none.
    Counter* counter = nullptr;
    Gauge* gauge = nullptr;
  };
  struct Family {
    std::string name;
    std::string help;
    bool is_counter = false;
    std::vector<Series> series;
  };

  Series& SeriesOf(std::string_view name, std::string_view help, bool is_counter,
                   const Labels& labels);

  mutable std::mutex mutex_;
  std::vector<Family> families_;
  std::deque<Counter> counters_;  // Deques, because metrics must stay where they are.
  std::deque<Gauge> gauges_;
};

// What the Content-Type of Render() is.
inline constexpr std::string_view kMetricsContentType = "text/plain; version=0.0.4; charset=utf-8";

}  // namespace shardmill
