#include "nn/metrics.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "common/assert.h"

namespace shardmill::nn {
namespace {

// The share of rows whose label is among the `places` greatest outputs; of equal ones the first
// goes before.
class TopPlaces final : public Metric {
 public:
  explicit TopPlaces(uint64_t places) : places_(places) {}

  void Reset() override { rows_ = hits_ = 0; }
  void Add(std::span<const float> outputs, uint64_t columns, const Targets& targets) override {
    SM_ASSERT(outputs.size() == targets.labels.size() * columns);
    for (size_t row = 0; row < targets.labels.size(); ++row) {
      const std::span<const float> values = outputs.subspan(row * columns, columns);
      const uint32_t label = targets.labels[row];
      SM_ASSERT(label < columns);
      uint64_t before = 0;
      for (uint64_t i = 0; i < columns; ++i) {
        if (values[i] > values[label] || (values[i] == values[label] && i < label)) ++before;
      }
      // A NaN is greater than nothing and no number is greater than it.
      if (before < places_ && !std::isnan(values[label])) ++hits_;
      ++rows_;
    }
  }
  double value() const override {
    return rows_ == 0 ? 0 : static_cast<double>(hits_) / static_cast<double>(rows_);
  }

 private:
  const uint64_t places_;
  uint64_t rows_ = 0;
  uint64_t hits_ = 0;
};

// The mean distance of outputs and targets, or the root of the mean of its square.
class MeanDistance final : public Metric {
 public:
  explicit MeanDistance(bool squared) : squared_(squared) {}

  void Reset() override {
    count_ = 0;
    sum_ = 0;
  }
  void Add(std::span<const float> outputs, uint64_t, const Targets& targets) override {
    SM_ASSERT(outputs.size() == targets.values.size());
    for (size_t i = 0; i < outputs.size(); ++i) {
      const double gap = static_cast<double>(outputs[i]) - static_cast<double>(targets.values[i]);
      sum_ += squared_ ? gap * gap : std::abs(gap);
    }
    count_ += outputs.size();
  }
  double value() const override {
    const double mean = count_ == 0 ? 0 : sum_ / static_cast<double>(count_);
    return squared_ ? std::sqrt(mean) : mean;
  }

 private:
  const bool squared_;
  uint64_t count_ = 0;
  double sum_ = 0;
};

// The chance that of a row that is and a row that is not the first has the greater output: exact,
// from all outputs of the test set. Where there are no two such rows, a half.
class AreaUnderCurve final : public Metric {
 public:
  void Reset() override {
    outputs_.clear();
    numbers_ = true;
  }
  void Add(std::span<const float> outputs, uint64_t columns, const Targets& targets) override {
    SM_ASSERT(columns == 1 && outputs.size() == targets.values.size());
    for (size_t i = 0; i < outputs.size(); ++i) {
      outputs_.emplace_back(outputs[i], targets.values[i] > 0.5F);
      numbers_ = numbers_ && !std::isnan(outputs[i]);
    }
  }
  double value() const override {
    if (outputs_.empty()) return 0;
    if (!numbers_) return std::nan("");  // Which has no place in an order.
    std::vector<std::pair<float, bool>> sorted = outputs_;
    std::ranges::sort(sorted);
    double ranks = 0, positives = 0;
    for (size_t begin = 0; begin < sorted.size();) {
      size_t end = begin;
      double here = 0;
      for (; end < sorted.size() && sorted[end].first == sorted[begin].first; ++end) {
        here += sorted[end].second ? 1 : 0;
      }
      // Equal outputs share the mean of their ranks, which are begin + 1 to end.
      ranks += here * (static_cast<double>(begin + end) + 1) / 2;
      positives += here;
      begin = end;
    }
    const double negatives = static_cast<double>(sorted.size()) - positives;
    if (positives == 0 || negatives == 0) return 0.5;
    return (ranks - positives * (positives + 1) / 2) / (positives * negatives);
  }

 private:
  std::vector<std::pair<float, bool>> outputs_;
  bool numbers_ = true;  // All of them.
};

struct MetricType {
  std::string_view name;
  std::unique_ptr<Metric> (*make)();
};

constexpr std::array kMetricTypes{
    MetricType{"top1", [] { return std::unique_ptr<Metric>(std::make_unique<TopPlaces>(1)); }},
    MetricType{"top5", [] { return std::unique_ptr<Metric>(std::make_unique<TopPlaces>(5)); }},
    MetricType{"rmse",
               [] { return std::unique_ptr<Metric>(std::make_unique<MeanDistance>(true)); }},
    MetricType{"mae",
               [] { return std::unique_ptr<Metric>(std::make_unique<MeanDistance>(false)); }},
    MetricType{"auc", [] { return std::unique_ptr<Metric>(std::make_unique<AreaUnderCurve>()); }},
};

}  // namespace

std::vector<std::string_view> MetricNames() {
  std::vector<std::string_view> names;
  for (const MetricType& type : kMetricTypes) names.push_back(type.name);
  return names;
}

Result<std::unique_ptr<Metric>> MakeMetric(const std::string& name) {
  std::string names;
  for (const MetricType& type : kMetricTypes) {
    if (type.name == name) return type.make();
    names += (names.empty() ? "\"" : ", \"") + std::string(type.name) + '"';
  }
  return Error{ErrorCode::kBadUsage, "there is no metric \"" + name + "\"; there are " + names};
}

}  // namespace shardmill::nn
