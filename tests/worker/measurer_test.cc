#include "worker/measurer.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/worker/data/data_set.h"

namespace shardmill {
namespace {

// Gives its input back. What a row's class is, its greatest output tells.
class Echo final : public Model {
 public:
  // With more rows it fails.
  explicit Echo(uint64_t outputs, uint32_t rows_max = UINT32_MAX,
                Error failure = {ErrorCode::kFailed, "no room"})
      : outputs_(outputs), rows_max_(rows_max), failure_(std::move(failure)) {}

  std::span<const ParameterSpec> Parameters() const override { return {}; }
  Result<double> Train(const Batch&, std::span<const std::span<const float>>,
                       std::span<const std::span<float>>) override {
    return 0.0;
  }
  Result<Evaluation> Evaluate(const Batch& batch,
                              std::span<const std::span<const float>>) override {
    ++calls_;
    if (batch.rows > rows_max_) return failure_;
    return Evaluation{.rows = batch.rows,
                      .correct = 1,
                      .loss = 2.0 * batch.rows,
                      .outputs = batch.inputs[0].floats.first(batch.rows * outputs_)};
  }
  uint64_t calls() const { return calls_; }

 private:
  const uint64_t outputs_;
  const uint32_t rows_max_;
  const Error failure_;
  uint64_t calls_ = 0;
};

class NoParameters final : public ParameterReader {
 public:
  Result<std::span<const std::span<const float>>> For(const Batch&) override {
    return std::span<const std::span<const float>>();
  }
  Result<std::span<const float>> Dense(size_t) override { return std::span<const float>(); }
  Result<std::span<const float>> Rows(size_t, std::span<const uint64_t>) override {
    return std::span<const float>();
  }
};

TEST(MeasurerTest, GivesTheFiguresThatAreWantedOverAllRows) {
  // 1,500 rows of one number, the label itself or 2 more: measured in two parts.
  std::vector<float> inputs;
  std::vector<uint32_t> labels;
  for (uint32_t i = 0; i < 1500; ++i) {
    labels.push_back(i % 2);
    inputs.push_back(static_cast<float>(i % 2 + (i < 750 ? 2 : 0)));
  }
  const auto data = MakeDataSet(inputs, labels, {1}, 2);
  Echo model(1);
  const auto measurer =
      Measurer::Make({"rmse", "mae", "auc", "accuracy", "loss"}, *data, model, 1).value();
  NoParameters parameters;
  for (int again = 0; again < 2; ++again) {
    const Figures figures = measurer->Measure(parameters).value();
    ASSERT_EQ(figures.size(), 5U);
    EXPECT_EQ(figures[0].first, "rmse");
    EXPECT_NEAR(figures[0].second, std::sqrt(2.0), 1e-6);
    EXPECT_NEAR(figures[1].second, 1.0, 1e-6);
    EXPECT_NEAR(figures[2].second, 0.75, 1e-6);
    EXPECT_NEAR(figures[3].second, 2.0 / 1500, 1e-9);
    EXPECT_NEAR(figures[4].second, 2.0, 1e-9);
  }
}

TEST(MeasurerTest, TakesFewerRowsAtOnceWhereThereIsNoRoomForMore) {
  std::vector<float> inputs;
  std::vector<uint32_t> labels;
  for (uint32_t i = 0; i < 1003; ++i) {
    labels.push_back(i % 2);
    inputs.push_back(static_cast<float>(i % 2) + static_cast<float>(i));
  }
  const auto data = MakeDataSet(inputs, labels, {1}, 2);
  NoParameters parameters;
  for (const uint32_t rows_max : {1U, 30U, 999U}) {
    Echo model(1, rows_max);
    const auto measurer = Measurer::Make({"mae", "loss"}, *data, model, 1).value();
    const Figures figures = measurer->Measure(parameters).value();
    EXPECT_NEAR(figures[0].second, 501, 1e-6) << rows_max;
    EXPECT_NEAR(figures[1].second, 2, 1e-9) << rows_max;
  }
  Echo none(1, 0);
  const auto measurer = Measurer::Make({"loss"}, *data, none, 1).value();
  EXPECT_EQ(measurer->Measure(parameters).error().message, "no room");
}

TEST(MeasurerTest, TriesNotAgainWhatFewerRowsDoNotMend) {
  const auto data = MakeDataSet({1, 2, 3, 4}, {0, 1, 0, 1}, {1}, 2);
  NoParameters parameters;
  Echo broken(1, 0, {ErrorCode::kUnavailable, "the device has failed"});
  const auto measurer = Measurer::Make({"loss"}, *data, broken, 1).value();
  EXPECT_EQ(measurer->Measure(parameters).error().message, "the device has failed");
  EXPECT_EQ(broken.calls(), 1U);
}

TEST(MeasurerTest, RefusesAMetricThatDoesNotFitTheOutputs) {
  const auto data = MakeDataSet({1, 2, 3, 4}, {0, 1}, {2}, 2);
  for (const auto& [metric, outputs] :
       {std::pair("top1", 1U), std::pair("auc", 2U), {"rmse", 2U}}) {
    Echo model(outputs);
    const auto measurer = Measurer::Make({metric}, *data, model, outputs);
    ASSERT_FALSE(measurer.ok()) << metric;
    EXPECT_EQ(measurer.error().code, ErrorCode::kBadUsage);
  }
}

TEST(MeasurerTest, TellsNoMoreThanTwoClassesApartByTheirOrder) {
  const auto data = MakeDataSet({1, 2, 3}, {0, 1, 2}, {1}, 3);
  Echo model(1);
  EXPECT_FALSE(Measurer::Make({"auc"}, *data, model, 1).ok());
  NoParameters parameters;
  const auto of_numbers = Measurer::Make({"auc"}, *data, model, 1, 0).value();
  const Result<Figures> figures = of_numbers->Measure(parameters);
  ASSERT_FALSE(figures.ok());
  EXPECT_EQ(figures.error().code, ErrorCode::kBadUsage);
}

TEST(MeasurerTest, ComparesWithAnInputWhereItIsTold) {
  const auto data = MakeDataSet({1, 2, 3, 4}, {0, 1}, {2}, 2);
  Echo model(2);
  const auto measurer = Measurer::Make({"rmse"}, *data, model, 2, 0).value();
  NoParameters parameters;
  EXPECT_EQ(measurer->Measure(parameters).value()[0].second, 0);
  EXPECT_FALSE(Measurer::Make({"top1"}, *data, model, 2, 0).ok());
}

}  // namespace
}  // namespace shardmill
