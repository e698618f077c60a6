#include "server/state_log.h"

#include <gtest/gtest.h>

#include <sstream>
#include <string>
#include <utility>

#include "server/job_view.h"
#include "tests/server/coordinator_by_hand.h"

namespace shardmill {
namespace {

// The log of an elastic job of one worker and one shard.
class StateLogTest : public CoordinatorTest {
 protected:
  explicit StateLogTest(uint32_t replicas = 0) : CoordinatorTest(ElasticOptions(replicas)) {}

  static CoordinatorOptions ElasticOptions(uint32_t replicas) {
    CoordinatorOptions options = Options();
    options.replicas = replicas;
    options.workers = 1;
    options.workers_max = 2;
    options.data.leased = true;
    options.start_timeout = std::chrono::minutes(1);
    return options;
  }

  void Tell(uint64_t who, Message message) {
    Say(who, std::move(message));
    log_.Look(coordinator_, now_);
  }

  void Wait(milliseconds time) {
    for (; time > milliseconds(0); time -= milliseconds(10)) {
      After(milliseconds(10));
      log_.Look(coordinator_, now_);
    }
  }

  void CutAndLook() {
    Cut();
    log_.Look(coordinator_, now_);
  }

  void BeginAlone() {
    Tell(kShard, Register{ShardId{0}, "s"});
    Tell(1, Join{WorkerId{0}});
    CutAndLook();
  }

  bool Says(const std::string& words) const { return out_.str().find(words) != std::string::npos; }

  std::ostringstream out_;
  Log lines_{"test", LogLevel::kInfo, &out_};
  StateLog log_{lines_};
};

TEST_F(StateLogTest, NamesAWaitThatLastsAndSaysWhenItIsOver) {
  Wait(milliseconds(500));
  EXPECT_FALSE(Says(" waits ")) << out_.str();
  Wait(milliseconds(1000));
  EXPECT_TRUE(Says("waits why=\"waiting for shard 0, 1 workers\"")) << out_.str();
  BeginAlone();
  Wait(milliseconds(10));
  EXPECT_TRUE(Says("waited seconds=")) << out_.str();
}

TEST_F(StateLogTest, NamesAnotherWaitAfterAWhile) {
  Wait(milliseconds(2000));
  Tell(kShard, Register{ShardId{0}, "s"});
  Wait(milliseconds(2000));
  EXPECT_FALSE(Says("waiting for 1 workers")) << out_.str();
  Wait(milliseconds(10000));
  EXPECT_TRUE(Says("waiting for 1 workers")) << out_.str();
}

TEST_F(StateLogTest, SaysNothingOfACutThatIsSoonOver) {
  BeginAlone();
  EXPECT_TRUE(Says("job_training")) << out_.str();
  EXPECT_TRUE(Says("view number=1")) << out_.str();
  EXPECT_FALSE(Says(" waits ")) << out_.str();
}

TEST_F(StateLogTest, TellsAWorkerThatIsLostFromOneThatIsHeardAgain) {
  BeginAlone();
  const Sender sender{WorkerId{0}, Incarnation{1}};
  for (int i = 0; i < 12; ++i) {
    Tell(kShard, Beat{ShardId{0}});
    Wait(milliseconds(10));
  }
  EXPECT_TRUE(Says("worker_silent rank=0")) << out_.str();
  Tell(1, Renew{sender});
  EXPECT_TRUE(Says("worker_heard rank=0 incarnation=1")) << out_.str();
  for (int i = 0; i < 12; ++i) Wait(milliseconds(10));
  CutAndLook();
  EXPECT_TRUE(Says("worker_lost rank=0")) << out_.str();
}

// The same with a replica of the shard.
class ReplicaLogTest : public StateLogTest {
 protected:
  static constexpr uint64_t kReplica = 51;

  ReplicaLogTest() : StateLogTest(1) {
    Tell(kReplica, Register{ShardId{0}, "tcp://r:1", 1});
    BeginAlone();
  }

  void SayInSync() {
    Beat beat;
    beat.view = ViewNumber{1};
    beat.in_sync = {coordinator_.replicas(ShardId{0}).front().stream};
    Tell(kShard, beat);
  }
};

TEST_F(ReplicaLogTest, TellsWhetherAllReplicasAreInSyncAndWhyOneIsNot) {
  JobStatus status = StatusOf(coordinator_, now_);
  EXPECT_EQ(status.shards[0].degraded, "copy 1 catches up");
  SayInSync();
  EXPECT_TRUE(Says("all_in_sync shard=0 replicas=1")) << out_.str();
  status = StatusOf(coordinator_, now_);
  EXPECT_EQ(status.shards[0].degraded, "");
  EXPECT_EQ(status.shards[0].in_sync, 1U);
  Beat beat;
  beat.view = ViewNumber{1};
  beat.gated = 3;
  beat.differing = coordinator_.replicas(ShardId{0}).front().stream;
  beat.why = "the floats differ";
  Tell(kShard, beat);
  EXPECT_TRUE(Says("replica_given_up shard=0 why=\"the floats differ\"")) << out_.str();
  EXPECT_TRUE(Says("degraded shard=0 in_sync=0 replicas=1")) << out_.str();
  for (int i = 0; i < 12; ++i) {
    Tell(kShard, beat);
    Tell(1, Renew{{WorkerId{0}, Incarnation{1}}});
    Wait(milliseconds(10));
  }
  status = StatusOf(coordinator_, now_);
  EXPECT_EQ(status.words, "shard 0 is degraded: copy 1 is not there; 3 answers wait");
}

TEST_F(ReplicaLogTest, TellsOfAPromotion) {
  SayInSync();
  coordinator_.LinkEnded(now_, PeerId{kShard});
  for (int i = 0; i < 12; ++i) {
    Beat beat;
    beat.copy = 1;
    Tell(kReplica, beat);
    Wait(milliseconds(10));
  }
  EXPECT_TRUE(Says("promoted shard=0 copy=1 endpoint=tcp://r:1")) << out_.str();
  const JobStatus status = StatusOf(coordinator_, now_);
  EXPECT_EQ(status.promotions, 1U);
  EXPECT_EQ(status.shards[0].copy, 1U);
  EXPECT_EQ(status.shards[0].in_sync, 0U);
}

}  // namespace
}  // namespace shardmill
