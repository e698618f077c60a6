// The training loop against real processes: what it does with gradients that are no numbers before
// it steps by itself.
#include "worker/trainer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "tests/system/servers.h"
#include "tests/worker/data/data_set.h"

namespace shardmill {
namespace {

constexpr float kBad = 13;

// Two parameters and a gradient of one for each, but NaN for the second where the input is kBad.
class PickyModel final : public Model {
 public:
  std::span<const ParameterSpec> Parameters() const override { return specs_; }

  Result<double> Train(const Batch& batch, std::span<const std::span<const float>> /*parameters*/,
                       std::span<const std::span<float>> gradients) override {
    ++trained;
    gradients[0][0] = 1;
    gradients[1][0] = batch.inputs[0].floats[0] == kBad ? NAN : 1;
    return 0.5;
  }

  Result<Evaluation> Evaluate(const Batch& batch,
                              std::span<const std::span<const float>> parameters) override {
    weights = {parameters[0][0], parameters[1][0]};
    return Evaluation{.rows = batch.rows};
  }

  uint64_t trained = 0;
  std::vector<float> weights;  // As last measured.

 private:
  std::vector<ParameterSpec> specs_{{"good", 1, {}}, {"picky", 1, {}}};
};

std::shared_ptr<const SampleStore> RowsOf(const std::vector<float>& inputs) {
  return MakeDataSet(inputs, std::vector<uint32_t>(inputs.size()), {1}, 1);
}

// One worker that averages once an epoch, for two epochs of one row a batch.
class LocalTraining {
 public:
  explicit LocalTraining(OnNonfinite rule)
      : servers_({"policy.exchange=parameters", "policy.average_every=0",
                  std::string("policy.on_nonfinite=") + NameOf(rule)},
                 1),
        rule_(rule) {}

  Result<> Train(const std::vector<float>& inputs, std::function<bool()> stopped = nullptr) {
    const std::shared_ptr<const SampleStore> data = RowsOf(inputs);
    Batches batches(*data, {});
    UpdateSettings update;
    update.rule = UpdateRule::kMomentum;
    update.momentum = 0.5;
    update.rate.base = 1;
    const std::unique_ptr<LocalSteps> local =
        SM_TRY(LocalSteps::Make(update, 1, model.Parameters()));
    const std::unique_ptr<Session> session = SM_TRY(Session::Open(servers_.OptionsOf(0)));
    TrainerOptions options;
    options.train.epochs = 2;
    options.average_every = 0;
    options.on_nonfinite = rule_;
    options.stopped = std::move(stopped);
    const SteadyClock clock;
    std::ostringstream lines;
    const Log log("trainer_test", LogLevel::kError, &lines);
    const std::unique_ptr<Measurer> measurer = SM_TRY(Measurer::Make({}, *data, model, 1));
    Examiner examiner({model, *data, *measurer, *measurer}, options.train);
    const TrainerParts parts{*session, model, batches, local.get(), examiner};
    Trainer trainer(options, parts, clock, log);
    SM_TRY(trainer.Run([this](const TrainerProgress& now) { progress = now; }));
    return session->Close(true);
  }

  PickyModel model;
  TrainerProgress progress;

 private:
  static const char* NameOf(OnNonfinite rule) {
    if (rule == OnNonfinite::kReject) return "reject";
    return rule == OnNonfinite::kSkip ? "skip" : "accept";
  }

  Servers servers_;
  OnNonfinite rule_;
};

TEST(TrainerTest, LeavesABatchOutOfItsOwnStepsWhereItsGradientIsNoNumber) {
  LocalTraining training(OnNonfinite::kSkip);
  const Result<> trained = training.Train({0, kBad, 0});
  ASSERT_TRUE(trained.ok()) << trained.error().message;
  // Four steps of momentum: 1 + 1.5 + 1.75 + 1.875.
  EXPECT_EQ(training.model.weights, (std::vector<float>{-6.125, -6.125}));
  EXPECT_EQ(training.progress.nonfinite, 2U);
  EXPECT_EQ(training.progress.skipped, 0U);
  EXPECT_EQ(training.progress.samples, 4U);
}

TEST(TrainerTest, SkipsAStepOfWhichNoBatchCounts) {
  LocalTraining training(OnNonfinite::kSkip);
  const Result<> trained = training.Train({kBad, kBad});
  ASSERT_TRUE(trained.ok()) << trained.error().message;
  EXPECT_EQ(training.model.weights, (std::vector<float>{0, 0}));
  EXPECT_EQ(training.progress.nonfinite, 4U);
  EXPECT_EQ(training.progress.skipped, 2U);
  EXPECT_EQ(training.progress.samples, 0U);
}

TEST(TrainerTest, EndsAtTheFirstGradientThatIsNoNumberWithTableAndStep) {
  LocalTraining training(OnNonfinite::kReject);
  const Result<> trained = training.Train({kBad, kBad, kBad});
  ASSERT_FALSE(trained.ok());
  EXPECT_EQ(trained.error().code, ErrorCode::kBadInput);
  EXPECT_EQ(trained.error().message,
            "the gradient of table \"picky\" in step 1 has a NaN or an infinity in it "
            "(policy.on_nonfinite = \"reject\")");
  EXPECT_EQ(training.model.trained, 1U);
}

TEST(TrainerTest, TakesAndCountsWhatIsNoNumberWhereTheJobWantsIt) {
  LocalTraining training(OnNonfinite::kAccept);
  const Result<> trained = training.Train({0, kBad, 0});
  ASSERT_TRUE(trained.ok()) << trained.error().message;
  EXPECT_TRUE(std::isnan(training.model.weights.at(1)));
  EXPECT_FALSE(std::isnan(training.model.weights.at(0)));
  EXPECT_EQ(training.progress.nonfinite, 2U);
}

TEST(TrainerTest, StopsBetweenTwoBatchesOfAStep) {
  LocalTraining training(OnNonfinite::kSkip);
  const Result<> trained =
      training.Train({0, 0, 0}, [&training] { return training.model.trained == 2; });
  ASSERT_FALSE(trained.ok());
  EXPECT_EQ(trained.error().code, ErrorCode::kStopped);
  EXPECT_EQ(trained.error().message, "stopped in step 1");
}

}  // namespace
}  // namespace shardmill
