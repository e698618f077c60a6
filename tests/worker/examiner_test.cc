#include "worker/examiner.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>

#include "tests/worker/data/data_set.h"
#include "worker/model_file.h"

namespace shardmill {
namespace {

// One number, whose distance from 1 is what each row loses.
const std::vector<ParameterSpec> kSpecs{{.name = "guess", .size = 1}};

class Guess final : public Model {
 public:
  std::span<const ParameterSpec> Parameters() const override { return kSpecs; }
  Result<double> Train(const Batch&, std::span<const std::span<const float>>,
                       std::span<const std::span<float>>) override {
    return 0.0;
  }
  Result<Evaluation> Evaluate(const Batch& batch,
                              std::span<const std::span<const float>> parameters) override {
    const double loss = std::abs(1.0 - static_cast<double>(parameters[0][0]));
    return Evaluation{.rows = batch.rows, .loss = loss * batch.rows};
  }
};

// The guess at some step.
class At final : public ParameterReader {
 public:
  explicit At(float guess) : guess_(guess), lent_(&guess_, 1) {}

  Result<std::span<const std::span<const float>>> For(const Batch&) override {
    return std::span<const std::span<const float>>(&lent_, 1);
  }
  Result<std::span<const float>> Dense(size_t) override { return lent_; }
  Result<std::span<const float>> Rows(size_t, std::span<const uint64_t>) override { return lent_; }

 private:
  float guess_;
  std::span<const float> lent_;
};

double Figure(const Figures& figures, const std::string& name) {
  for (const auto& [key, value] : figures) {
    if (key == name) return value;
  }
  return -1;
}

// A job of two measures an epoch that keeps its best by the loss.
class ExaminerTest : public testing::Test {
 protected:
  ExaminerTest() {
    options_.best = "loss";
    options_.model = testing::TempDir() + "examiner.safetensors";
    std::filesystem::remove(options_.model);
  }

  std::unique_ptr<Examiner> Make(const Origin& origin = {.job = 7}) {
    auto examiner =
        std::make_unique<Examiner>(ExaminerParts{model_, *data_, *measurer_, *measurer_}, options_);
    examiner->Begin(origin);
    return examiner;
  }
  void Look(Examiner& examiner, uint64_t step, float guess) {
    At reader(guess);
    EXPECT_TRUE(examiner.Look(step / 10, step, reader).ok());
  }
  void Finish(Examiner& examiner, uint64_t step, float guess) {
    At reader(guess);
    EXPECT_TRUE(examiner.Finish(step / 10, step, reader).ok());
  }
  float Kept() const {
    return ModelFile::Open(options_.model, kSpecs).value()->Dense(0).value()[0];
  }

  TrainOptions options_;
  Guess model_;
  std::shared_ptr<const SampleStore> data_ = MakeDataSet({1, 2}, {0, 1}, {1}, 2);
  std::unique_ptr<Measurer> measurer_ = Measurer::Make({"loss"}, *data_, model_, 1).value();
};

TEST_F(ExaminerTest, KeepsTheBestOfACourseAndNotItsLast) {
  const auto examiner = Make();
  Look(*examiner, 10, 0.5F);
  EXPECT_EQ(Kept(), 0.5F);
  Look(*examiner, 20, 0.75F);
  Look(*examiner, 30, 0.25F);
  EXPECT_EQ(Kept(), 0.75F);
  Finish(*examiner, 40, 0);
  EXPECT_EQ(Kept(), 0.75F);
  EXPECT_EQ(Figure(examiner->figures(), "loss"), 0.25);
  EXPECT_EQ(Figure(examiner->figures(), "best_step"), 20);
}

TEST_F(ExaminerTest, KeepsTheLastWhereNoMetricTells) {
  options_.best.clear();
  const auto examiner = Make();
  Look(*examiner, 10, 1);
  EXPECT_FALSE(std::filesystem::exists(options_.model));
  Finish(*examiner, 20, 0.25F);
  EXPECT_EQ(Kept(), 0.25F);
  EXPECT_EQ(Figure(examiner->figures(), "loss"), 0.75);
  EXPECT_EQ(Figure(examiner->figures(), "best_step"), -1);
}

TEST_F(ExaminerTest, TellsHowItDoesWithTheRowsToTestWithApart) {
  options_.best.clear();
  const auto test = Measurer::Make({"loss"}, *data_, model_, 1).value();
  Examiner examiner({model_, *data_, *measurer_, *test}, options_);
  Look(examiner, 10, 0.5F);
  EXPECT_EQ(examiner.course(), (Figures{{"loss", 0.5}}));
  Finish(examiner, 20, 0.25F);
  EXPECT_EQ(examiner.course(), (Figures{{"loss", 0.75}, {"test_loss", 0.75}}));
  EXPECT_EQ(Figure(examiner.figures(), "validate_loss"), 0.75);
}

TEST_F(ExaminerTest, TheCourseIsOfTheModelInTrainingWhicheverIsKept) {
  const auto examiner = Make();
  Look(*examiner, 10, 0.75F);
  Finish(*examiner, 20, 0.25F);
  EXPECT_EQ(examiner->course(), (Figures{{"loss", 0.75}}));
  EXPECT_EQ(Figure(examiner->figures(), "loss"), 0.25);
}

TEST_F(ExaminerTest, SaysWhatEndedTrainingBeforeItsTime) {
  options_.stop = {{.steps = 1000}, {.steps = 20}};
  At reader(0.5F);
  const auto examiner = Make();
  EXPECT_FALSE(examiner->Look(1, 10, reader).value());
  EXPECT_TRUE(examiner->Look(2, 20, reader).value());
  EXPECT_EQ(examiner->reason(), "20 steps");
  Finish(*examiner, 21, 0.5F);
  EXPECT_EQ(Figure(examiner->figures(), "stopped_after_step"), 20);
  EXPECT_EQ(Figure(examiner->figures(), "stop_rule"), 2);
  // The steps that there are to make were made.
  const auto other = Make();
  Finish(*other, 20, 0.5F);
  EXPECT_EQ(Figure(other->figures(), "stopped_after_step"), -1);
}

TEST_F(ExaminerTest, KeepsTheBestWhereTheJobGoesBack) {
  const auto examiner = Make();
  Look(*examiner, 10, 0.75F);
  Look(*examiner, 20, 0.5F);
  examiner->ForgetAfter(10);
  Look(*examiner, 20, 0.5F);
  EXPECT_EQ(Kept(), 0.75F);
  examiner->ForgetAfter(0);
  Finish(*examiner, 20, 0.5F);
  EXPECT_EQ(Figure(examiner->figures(), "best_step"), 10);
}

TEST_F(ExaminerTest, TakesUpWhatAnotherProcessOfTheJobHasKept) {
  Look(*Make(), 20, 0.75F);
  const auto next = Make({.job = 7, .steps = 25});
  Look(*next, 30, 0.5F);
  EXPECT_EQ(Kept(), 0.75F);
  Look(*next, 40, 0.875F);
  EXPECT_EQ(Kept(), 0.875F);
  const auto last = Make({.job = 7, .steps = 50});
  Finish(*last, 50, 0);
  EXPECT_EQ(Figure(last->figures(), "best_step"), 40);
}

TEST_F(ExaminerTest, SeesWhatAnotherHasKeptBetweenTwoLooksOfItsOwn) {
  const auto first = Make();
  Look(*first, 10, 0.5F);
  Look(*Make({.job = 7, .steps = 10}), 20, 0.875F);
  Look(*first, 30, 0.75F);
  EXPECT_EQ(Kept(), 0.875F);
}

TEST_F(ExaminerTest, LeavesAModelOfAnotherJobUnlessItGoesOnFromThere) {
  Look(*Make(), 20, 0.75F);
  Look(*Make({.job = 8, .steps = 20, .line = {6, 7}}), 30, 0.5F);
  EXPECT_EQ(Kept(), 0.75F);
  Look(*Make({.job = 8, .steps = 10, .line = {6, 7}}), 30, 0.5F);
  EXPECT_EQ(Kept(), 0.5F) << "what was kept is later than the snapshot";
  Look(*Make({.job = 9, .steps = 40, .line = {6, 7}}), 50, 0.25F);
  EXPECT_EQ(Kept(), 0.25F);
}

TEST_F(ExaminerTest, OfTwoRunsInOneProcessNeitherTakesUpTheOther) {
  Look(*Make({}), 20, 0.75F);
  Look(*Make({}), 20, 0.5F);
  EXPECT_EQ(Kept(), 0.5F);
}

}  // namespace
}  // namespace shardmill
