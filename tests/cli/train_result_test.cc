#include "cli/train_result.h"

#include <gtest/gtest.h>

#include <cmath>

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
      R"("samples_per_second":2e+05,"metrics":{"accuracy":0.8312,"train_loss":0.25},"measured_on":"test",)"
      R"("staleness_max":3,"pushes":123,"lost":0,"duplicated":0,"discarded":0,"skipped":0,"bad_rows":2,"generation":0,"rollbacks":0,"promotions":0,"reproducible":true})");
  EXPECT_EQ(DescribeResult(result),
            "rows to   train              test\n"
            "accuracy                     0.8312\n"
            "loss      0.25 (last batch)\n"
            "\n"
            "policy      sync on 2 shards with 2 workers\n"
            "steps       4,680 in 3.0 s\n"
            "samples/s   200,000\n"
            "staleness   at most 3\n"
            "steps lost  0, duplicated 0\n"
            "bad rows    2\n");
}

TEST(TrainResultTest, NamesTheRowsThatWereLeftOut) {
  TrainResult result = ResultOf({}, Done());
  result.left_out = {"a.csv:3: wanted 2 columns, found 1"};
  EXPECT_NE(
      ToJson(result).find(R"("bad_rows":2,"left_out":["a.csv:3: wanted 2 columns, found 1"],)"),
      std::string::npos);
  EXPECT_NE(DescribeResult(result).find("bad rows    2\n"
                                        "left out    a.csv:3: wanted 2 columns, found 1\n"
                                        "left out    and 1 more\n"),
            std::string::npos)
      << DescribeResult(result);
}

TEST(TrainResultTest, SaysOnceInWhichWaysDevicesWereSlow) {
  TrainResult result = ResultOf({}, Done());
  for (const char* const worker : {"0", "1"}) {
    const std::string text = std::string(R"({"worker":)") + worker +
                             R"(,"on":"cuda:0","pieces":{"asked":2},"slower":["for a reason"]})";
    result.computed.push_back(ParseJson(text).value());
  }
  EXPECT_NE(ToJson(result).find(
                R"("computed":[{"worker":0,"on":"cuda:0","pieces":{"asked":2},"slower":["for a )"
                R"(reason"]},{"worker":1,)"),
            std::string::npos)
      << ToJson(result);
  EXPECT_TRUE(
      DescribeResult(result).ends_with("computed on  cuda:0\n"
                                       "slower       for a reason\n"))
      << DescribeResult(result);
}

TEST(TrainResultTest, SaysWhichRowsAModelWasMeasuredWith) {
  JobOptions job;
  EXPECT_EQ(MeasuredPart(job.data), "test");
  job.data.format = DataFormat::kCsv;
  EXPECT_EQ(MeasuredPart(job.data), "train");
  EXPECT_EQ(DescribeResult(ResultOf(job, Done())).substr(0, 16), "rows to   train\n");
  job.data.split = {0.8, 0.2};
  EXPECT_EQ(MeasuredPart(job.data), "validate");
  job.data.split = {0.7, 0.2, 0.1};
  TrainResult result = ResultOf(job, Done());
  result.metrics = {{"accuracy", 0.5}, {"validate_accuracy", 0.75}, {"weights_crc32", 7}};
  EXPECT_EQ(DescribeResult(result).substr(0, 50),
            "rows to   validate  test\n"
            "accuracy  0.75      0.5\n"
            "\n");
}

TEST(TrainResultTest, SaysWhatEndedTrainingBeforeItsTime) {
  JobOptions job;
  job.train.stop = {{.metric = "loss", .at_most = 0.1}, {.metric = "accuracy", .at_least = 0.6}};
  JobStatus status = Done();
  status.workers[0].metrics.insert(status.workers[0].metrics.end(),
                                   {{"stopped_after_step", 4689}, {"stop_rule", 2}});
  const TrainResult result = ResultOf(job, status);
  EXPECT_EQ(result.metrics, ResultOf(job, Done()).metrics);
  EXPECT_NE(DescribeResult(result).find("by accuracy at least 0.6 after step 4,689\n"),
            std::string::npos);
  EXPECT_NE(
      ToJson(result).find(R"("stopped_by":"accuracy at least 0.6","stopped_after_step":4689,)"),
      std::string::npos);
}

TEST(TrainResultTest, SaysWhatCameToNoNumber) {
  TrainResult result = ResultOf({}, Done());
  EXPECT_EQ(result.Problem(), "");
  result.metrics = {{"accuracy", 0.1}, {"loss", std::nan("")}, {"auc", std::nan("")}};
  EXPECT_TRUE(result.Problem().starts_with("loss came to no number"));
  EXPECT_NE(ToJson(result).find(R"("loss":null)"), std::string::npos);
  EXPECT_NE(ToJson(result).find(R"("problem":"loss came)"), std::string::npos);
  // On its way from the coordinator, too.
  JobStatus status = Done();
  status.workers[0].metrics = {{"loss", std::nan("")}};
  const auto parsed = ParseJobStatus(ToJson(status));
  ASSERT_TRUE(parsed.ok()) << parsed.error().message;
  EXPECT_NE(ResultOf({}, parsed.value()).Problem(), "");
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
  EXPECT_EQ(FormatMetric(-std::nan("")), "nan");
  EXPECT_EQ(FormatMetric(4294967295.0), "4294967295");
}

}  // namespace
}  // namespace shardmill
