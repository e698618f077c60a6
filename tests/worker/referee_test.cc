#include "worker/referee.h"

#include <gtest/gtest.h>

#include <cmath>

namespace shardmill {
namespace {

Figures Accuracy(double value) { return {{"accuracy", value}, {"loss", 1 - value}}; }

TEST(RefereeTest, EndsWhereAMetricHasComeFarEnough) {
  Referee referee({{.metric = "accuracy", .at_least = 0.8}}, "");
  EXPECT_FALSE(referee.Judge(1, 10, Accuracy(0.7)).stop);
  EXPECT_TRUE(referee.Judge(2, 20, Accuracy(0.8)).stop);
  EXPECT_EQ(referee.reason(), "accuracy at least 0.8");
}

TEST(RefereeTest, TakesABoundOfZeroAsABound) {
  Referee referee({{.metric = "loss", .at_most = 0.0}}, "");
  EXPECT_FALSE(referee.Judge(1, 10, Accuracy(0.9)).stop);
  EXPECT_TRUE(referee.Judge(2, 20, Accuracy(1)).stop);
  EXPECT_EQ(referee.reason(), "loss at most 0.0");
}

TEST(RefereeTest, WantsAllConditionsOfOneRuleAndAnyRule) {
  Referee referee({{.metric = "loss", .at_most = 0.3, .epochs = 3}, {.steps = 50}}, "");
  EXPECT_FALSE(referee.Judge(1, 10, Accuracy(0.9)).stop);
  EXPECT_FALSE(referee.Judge(2, 20, Accuracy(0.9)).stop);
  EXPECT_TRUE(referee.Judge(3, 30, Accuracy(0.9)).stop);
  EXPECT_EQ(referee.reason(), "loss at most 0.3, 3 epochs");
  EXPECT_TRUE(referee.Judge(1, 50, Accuracy(0.1)).stop);
}

TEST(RefereeTest, EndsOnAPlateauCountedFromTheBest) {
  Referee referee({{.metric = "loss", .plateau = 2}}, "");
  for (const double accuracy : {0.5, 0.6, 0.55, 0.61}) {
    EXPECT_FALSE(referee.Judge(1, 1, Accuracy(accuracy)).stop) << accuracy;
  }
  EXPECT_FALSE(referee.Judge(1, 1, Accuracy(0.61)).stop);
  EXPECT_TRUE(referee.Judge(1, 1, Accuracy(0.6)).stop);
}

TEST(RefereeTest, ForgetsOfAPlateauWhatIsLaterThanTheCut) {
  Referee referee({{.metric = "loss", .plateau = 2}}, "accuracy");
  EXPECT_FALSE(referee.Judge(1, 10, Accuracy(0.6)).stop);
  EXPECT_FALSE(referee.Judge(2, 20, Accuracy(0.5)).stop);
  EXPECT_TRUE(referee.Judge(3, 30, Accuracy(0.5)).stop);
  referee.ForgetAfter(10);
  EXPECT_FALSE(referee.Judge(2, 20, Accuracy(0.55)).stop) << "one measure since the best";
  EXPECT_TRUE(referee.Judge(3, 30, Accuracy(0.55)).stop);
  referee.ForgetAfter(0);
  EXPECT_FALSE(referee.Judge(1, 10, Accuracy(0.1)).stop);
}

TEST(RefereeTest, KeepsTheBestOverARollbackAndTakesUpOneThatIsKept) {
  Referee referee({}, "accuracy");
  referee.TakeUp(0.7);
  EXPECT_FALSE(referee.Judge(1, 10, Accuracy(0.6)).best);
  EXPECT_TRUE(referee.Judge(2, 20, Accuracy(0.8)).best);
  referee.ForgetAfter(10);
  EXPECT_FALSE(referee.Judge(2, 20, Accuracy(0.75)).best);
  EXPECT_TRUE(referee.Judge(2, 20, Accuracy(0.81)).best);
}

TEST(RefereeTest, TellsTheBestByTheWayThatAMetricIsGood) {
  Referee greatest({}, "accuracy");
  Referee least({}, "loss");
  for (const auto& [accuracy, best] :
       {std::pair(0.5, true), {0.4, false}, {0.6, true}, {0.6, false}}) {
    EXPECT_EQ(greatest.Judge(1, 1, Accuracy(accuracy)).best, best) << accuracy;
    EXPECT_EQ(least.Judge(1, 1, Accuracy(accuracy)).best, best) << accuracy;
  }
  EXPECT_FALSE(greatest.Judge(1, 1, {{"accuracy", std::nan("")}}).best);
}

TEST(RefereeTest, TakesEachForTheBestWhereNoMetricTells) {
  Referee referee({}, "");
  EXPECT_TRUE(referee.Judge(1, 1, Accuracy(0.5)).best);
  EXPECT_TRUE(referee.Judge(1, 1, Accuracy(0.4)).best);
}

}  // namespace
}  // namespace shardmill
