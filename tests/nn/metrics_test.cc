#include "nn/metrics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

namespace shardmill::nn {
namespace {

double ValueOf(const std::string& name, const std::vector<float>& outputs, uint64_t columns,
               const std::vector<uint32_t>& labels, const std::vector<float>& values) {
  const std::unique_ptr<Metric> metric = MakeMetric(name).value();
  metric->Add(outputs, columns, {.labels = labels, .values = values});
  return metric->value();
}

TEST(MetricsTest, CountRowsWhoseLabelIsAmongTheGreatest) {
  const std::vector<float> outputs{1, 3, 2, 0, 5, 4,  //
                                   9, 1, 1, 1, 1, 1};
  EXPECT_EQ(ValueOf("top1", outputs, 6, {4, 1}, {}), 0.5);
  EXPECT_EQ(ValueOf("top5", outputs, 6, {3, 4}, {}), 0.5);
  EXPECT_EQ(ValueOf("top5", outputs, 6, {0, 5}, {}), 0.5);
  const float no_number = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(ValueOf("top1", {no_number, 1}, 2, {0}, {}), 0.0);
}

TEST(MetricsTest, MeasureDistances) {
  EXPECT_DOUBLE_EQ(ValueOf("rmse", {1, 5}, 1, {}, {4, 1}), std::sqrt(12.5));
  EXPECT_DOUBLE_EQ(ValueOf("mae", {1, 5}, 1, {}, {4, 1}), 3.5);
}

TEST(MetricsTest, RankPositivesAboveNegatives) {
  EXPECT_EQ(ValueOf("auc", {0.1F, 0.4F, 0.35F, 0.8F}, 1, {}, {0, 0, 1, 1}), 0.75);
  EXPECT_EQ(ValueOf("auc", {1, 1, 1, 1}, 1, {}, {0, 1, 0, 1}), 0.5);
  EXPECT_EQ(ValueOf("auc", {2, 1}, 1, {}, {1, 0}), 1.0);
  EXPECT_EQ(ValueOf("auc", {2, 1}, 1, {}, {1, 1}), 0.5);
}

TEST(MetricsTest, AreNoNumberWhereAnOutputIsNone) {
  std::vector<float> outputs(100), values(100);
  for (size_t i = 0; i < outputs.size(); ++i) {
    outputs[i] = i % 3 == 0 ? std::nanf("") : static_cast<float>(i % 7);
    values[i] = static_cast<float>(i % 2);
  }
  for (const char* name : {"auc", "rmse", "mae"}) {
    EXPECT_TRUE(std::isnan(ValueOf(name, outputs, 1, {}, values))) << name;
  }
}

TEST(MetricsTest, GatherBatchesAndBeginAnew) {
  for (const char* name : {"rmse", "mae"}) {
    const std::unique_ptr<Metric> metric = MakeMetric(name).value();
    EXPECT_EQ(metric->value(), 0);
    const std::vector<float> one{1}, three{3}, zero{0};
    metric->Add(one, 1, {.labels = {}, .values = zero});
    metric->Add(three, 1, {.labels = {}, .values = zero});
    EXPECT_GT(metric->value(), 1.9);
    metric->Reset();
    EXPECT_EQ(metric->value(), 0);
  }
  EXPECT_FALSE(MakeMetric("f1").ok());
}

}  // namespace
}  // namespace shardmill::nn
