#include "cli/train_result.h"

#include <gtest/gtest.h>

namespace shardmill {
namespace {

JobStatus Done() {
  JobStatus status;
  status.state = JobStatus::State::kDone;
  JobStatus::Worker worker;
  worker.step = 4690;
  worker.acked = 4690;
  worker.samples = 300000;
  worker.seconds = 2.5;
  worker.staleness_max = 1;
  worker.metrics = {{"accuracy", 0.8312}};
  status.workers.push_back(worker);
  worker.rank = 1;
  worker.acked = 4680;
  worker.step = 4680;
  worker.seconds = 3;
  worker.metrics = {{"accuracy", 0.5}, {"train_loss", 0.25}, {"bad_rows", 2}};
  status.workers.push_back(worker);
  status.shards.resize(2);
  status.shards[0].units = 100;
  status.shards[1].units = 23;
  status.shards[1].staleness_max = 3;
  return status;
}

TEST(TrainResultTest, TakesTheSlowestWorkersStepsAndTheLongestTime) {
  const TrainResult result = ResultOf({}, Done());
  EXPECT_EQ(
      ToJson(result),
      R"({"policy":"sync","shards":2,"workers":2,"steps":4680,"seconds":3,)"
      R"("samples_per_second":2e+05,"metrics":{"accuracy":0.8312,"train_loss":0.25},)"
      R"("staleness_max":3,"pushes":123,"lost":0,"duplicated":0,"discarded":0,"skipped":0,"bad_rows":2,"generation":0,"rollbacks":0,"promotions":0,"reproducible":true})");
  EXPECT_EQ(DescribeResult(result),
            "accuracy 0.8312, train_loss 0.25, sync on 2 shards with 2 workers, 4,680 steps in "
            "3.0 s, 200,000 samples/s, staleness at most 3, lost 0, duplicated 0, bad rows 2");
}

TEST(TrainResultTest, PromisesTheSameWeightsUnderSyncAlone) {
  JobOptions job;
  for (const PolicyMode mode : {PolicyMode::kStale, PolicyMode::kAsync}) {
    job.policy.mode = mode;
    EXPECT_FALSE(ResultOf(job, Done()).reproducible);
    EXPECT_EQ(ResultOf(job, Done()).policy, NameOf(mode));
  }
}

TEST(TrainResultTest, CanTellOfAJobThatDidNothing) {
  const TrainResult result = ResultOf({}, {});
  EXPECT_EQ(result.steps, 0U);
  EXPECT_EQ(result.SamplesPerSecond(), 0);
}

TEST(TrainResultTest, FormatsNumbersForPeople) {
  EXPECT_EQ(FormatCount(0), "0");
  EXPECT_EQ(FormatCount(999), "999");
  EXPECT_EQ(FormatCount(1234567), "1,234,567");
  EXPECT_EQ(FormatMetric(0.83125), "0.8313");
  EXPECT_EQ(FormatMetric(4294967295.0), "4294967295");
}

}  // namespace
}  // namespace shardmill
