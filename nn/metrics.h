#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/result.h"
#include "nn/loss.h"

namespace shardmill::nn {

// A figure of how well a network does over a test set, gathered batch by batch: "top1", "top5",
// "rmse", "mae" or "auc". Owned by whoever measures, on one thread. Outputs and targets are those
// of a batch that was evaluated; a batch of other sizes is our own bug.
class Metric {
 public:
  virtual ~Metric() = default;

  virtual void Reset() = 0;
  // `columns` numbers a row.
  virtual void Add(std::span<const float> outputs, uint64_t columns, const Targets& targets) = 0;
  // Of no rows 0.
  virtual double value() const = 0;
};

// All that there are.
std::vector<std::string_view> MetricNames();

Result<std::unique_ptr<Metric>> MakeMetric(const std::string& name);

}  // namespace shardmill::nn
