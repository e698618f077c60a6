#include "common/status/job_status.h"

#include <gtest/gtest.h>

namespace shardmill {
namespace {

JobStatus Example() {
  JobStatus status;
  status.state = JobStatus::State::kDone;
  status.policy = "stale";
  status.staleness = 3;
  status.view = 4;
  status.generation = 2;
  status.rollbacks = 1;
  status.promotions = 5;
  status.workers.push_back({.rank = 1,
                            .state = JobStatus::Worker::State::kSilent,
                            .incarnation = 2,
                            .step = 30,
                            .acked = 29,
                            .epoch = 1,
                            .samples = 1920,
                            .seconds = 0.5,
                            .silent_seconds = 1.25,
                            .staleness_max = 3,
                            .awaited_seconds = 2.5,
                            .awaited_share = 0.75,
                            .metrics = {{"accuracy", 0.83}, {"loss", 0.5}}});
  status.shards.push_back({.id = 1,
                           .endpoint = "tcp://127.0.0.1:1",
                           .closed = 28,
                           .version = 57,
                           .units = 60,
                           .held_bytes = 4096,
                           .parked_pulls = 1,
                           .staleness_max = 2,
                           .waiting_for = 1,
                           .discarded = 6,
                           .skipped = 7,
                           .nonfinite = 8,
                           .copy = 1,
                           .host = 3,
                           .moving = true,
                           .replicas = 2,
                           .in_sync = 1,
                           .gated = 3,
                           .degraded = "copy 0 catches up"});
  status.snapshots = JobStatus::Snapshots{.number = 7,
                                          .age_seconds = 12.5,
                                          .took_seconds = 0.25,
                                          .bytes = 8192,
                                          .under_way = 8,
                                          .given_up = 1,
                                          .problem = "shard 0: no room",
                                          .awaited = "shard 1",
                                          .damaged = 2,
                                          .final_lost = true};
  status.lost = 1;
  status.duplicated = 2;
  status.samples_lost = 3;
  status.samples_repeated = 4;
  return status;
}

TEST(JobStatusTest, WritesTheKeysThatOperatorsRead) {
  EXPECT_EQ(
      ToJson(Example()),
      R"({"state":"done","words":"","exit_code":0,"policy":{"mode":"stale","staleness":3},)"
      R"("view":4,"generation":2,"rollbacks":1,"promotions":5,"workers":[{"rank":1,"state":"silent","incarnation":2,"step":30,)"
      R"("acked":29,"epoch":1,"samples":1920,"seconds":0.5,"silent_seconds":1.25,)"
      R"("staleness_max":3,"awaited_seconds":2.5,"awaited_share":0.75,"metrics":{"accuracy":0.83,"loss":0.5}}],"shards":[{"id":1,)"
      R"("endpoint":"tcp://127.0.0.1:1","closed":28,"version":57,"units":60,)"
      R"("held_bytes":4096,"parked_pulls":1,"staleness_max":2,"waiting_for":1,"discarded":6,"skipped":7,"nonfinite":8,)"
      R"("copy":1,"server":3,"moving":true,"replicas":2,"in_sync":1,"gated":3,"degraded":"copy 0 catches up"}],)"
      R"("snapshots":{"number":7,"age_seconds":12.5,"took_seconds":0.25,"bytes":8192,"under_way":8,"given_up":1,"problem":"shard 0: no room","awaited":"shard 1","damaged":2,"final_lost":true},)"
      R"("audit":{"lost":1,"duplicated":2,"samples_lost":3,"samples_repeated":4}})");
}

TEST(JobStatusTest, ShardWaitsForARankWhereSomebodyWaitsForAnAnswer) {
  JobStatus status;
  status.shards.push_back({.id = 0, .held_bytes = 64, .parked_pulls = 1, .waiting_for = 1});
  EXPECT_NE(ToJson(status).find(R"("waiting_for":1)"), std::string::npos);
  status.shards[0].parked_pulls = 0;  // What is held waits for its own worker's step alone.
  EXPECT_NE(ToJson(status).find(R"("waiting_for":null)"), std::string::npos);
}

TEST(JobStatusTest, FindsTheWorkerThatHoldsUpTheOthers) {
  JobStatus status;
  EXPECT_EQ(SlowWorker(status), nullptr);
  status.workers.push_back({.rank = 0, .awaited_share = 0.9});
  EXPECT_EQ(SlowWorker(status), nullptr);  // Nobody else is there.
  status.workers.push_back({.rank = 7, .awaited_share = 0.1});
  ASSERT_NE(SlowWorker(status), nullptr);
  EXPECT_EQ(SlowWorker(status)->rank, 0U);
  status.workers[1].awaited_share = 0.5;  // Now the one, now the other.
  EXPECT_EQ(SlowWorker(status), nullptr);
  status.workers[0].awaited_share = 0.2;
  ASSERT_NE(SlowWorker(status), nullptr);
  EXPECT_EQ(SlowWorker(status)->rank, 7U);
  status.workers = {{.rank = 0, .awaited_share = 0.01}, {.rank = 1}};
  EXPECT_EQ(SlowWorker(status), nullptr);
}

TEST(JobStatusTest, ReadsWhatItWrote) {
  const Result<JobStatus> read = ParseJobStatus(ToJson(Example()));
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_EQ(ToJson(read.value()), ToJson(Example()));
}

TEST(JobStatusTest, TakesDefaultsForWhatIsNotThere) {
  const Result<JobStatus> read = ParseJobStatus(R"({"state":"failed","workers":[{}]})");
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_EQ(read.value().state, JobStatus::State::kFailed);
  EXPECT_EQ(read.value().workers.at(0).state, JobStatus::Worker::State::kAbsent);
}

TEST(JobStatusTest, NamesTheFirstValueThatCannotBe) {
  for (const char* text : {R"({"state":"odd"})", R"({"state":1})", R"({"state":[]})"}) {
    const Result<JobStatus> read = ParseJobStatus(text);
    ASSERT_FALSE(read.ok());
    EXPECT_EQ(read.error().message, "no status of a job: \"state\" cannot be what it is");
  }
  EXPECT_FALSE(ParseJobStatus("[]").ok());
  EXPECT_FALSE(ParseJobStatus(R"({"workers":[{"rank":4294967296}]})").ok());
  EXPECT_FALSE(ParseJobStatus(R"({"workers":[{"step":-1}]})").ok());
}

}  // namespace
}  // namespace shardmill
