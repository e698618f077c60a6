#include "server/state_log.h"

#include <gtest/gtest.h>

#include <sstream>
#include <string>
#include <utility>

#include "common/messages.h"
#include "server/coordinator.h"

namespace shardmill {
namespace {

using std::chrono::milliseconds;

constexpr JobId kJob{9};
constexpr BootId kBoot{100};
constexpr uint64_t kShard = 50;

// The log of an elastic job of one worker and one shard, which the test plays.
class StateLogTest : public testing::Test {
 protected:
  static CoordinatorOptions Options() {
    CoordinatorOptions options;
    options.job = kJob;
    options.boot = kBoot;
    options.workers_max = 2;
    options.data.leased = true;
    options.lease = milliseconds(100);
    options.retry_after = milliseconds(10);
    return options;
  }

  void Say(uint64_t who, Message message) {
    Outbox outbox;
    const Stamp stamp{kJob, coordinator_.view().generation, {}, BootId{who}, kBoot};
    coordinator_.Handle(now_, {PeerId{who}, stamp, std::move(message)}, outbox);
    log_.Look(coordinator_, now_);
  }

  void After(milliseconds time) {
    for (const TimePoint end = now_ + time; now_ < end; now_ += milliseconds(10)) {
      Outbox outbox;
      coordinator_.Tick(now_, outbox);
      log_.Look(coordinator_, now_);
    }
  }

  void Cut() {
    After(milliseconds(10));
    const ViewNumber number = coordinator_.view().number.Next();
    Say(kShard, Frozen{number, {}});
    Say(kShard, Installed{number});
  }

  void Begin() {
    Say(kShard, Register{ShardId{0}, "s"});
    Say(1, Join{WorkerId{0}});
    Cut();
  }

  bool Says(const std::string& words) const { return out_.str().find(words) != std::string::npos; }

  TimePoint now_{};
  Coordinator coordinator_{Options(), now_};
  std::ostringstream out_;
  Log lines_{"test", LogLevel::kInfo, &out_};
  StateLog log_{lines_};
};

TEST_F(StateLogTest, NamesAWaitThatLastsAndSaysWhenItIsOver) {
  After(milliseconds(500));
  EXPECT_FALSE(Says(" waits ")) << out_.str();
  After(milliseconds(1000));
  EXPECT_TRUE(Says("waits why=\"waiting for shard 0, 1 workers\"")) << out_.str();
  Begin();
  After(milliseconds(10));
  EXPECT_TRUE(Says("waited seconds=")) << out_.str();
}

TEST_F(StateLogTest, NamesAnotherWaitAfterAWhile) {
  After(milliseconds(2000));
  Say(kShard, Register{ShardId{0}, "s"});
  After(milliseconds(2000));
  EXPECT_FALSE(Says("waiting for 1 workers")) << out_.str();
  After(milliseconds(10000));
  EXPECT_TRUE(Says("waiting for 1 workers")) << out_.str();
}

TEST_F(StateLogTest, SaysNothingOfACutThatIsSoonOver) {
  Begin();
  EXPECT_TRUE(Says("job_training")) << out_.str();
  EXPECT_TRUE(Says("view number=1")) << out_.str();
  EXPECT_FALSE(Says(" waits ")) << out_.str();
}

TEST_F(StateLogTest, TellsAWorkerThatIsLostFromOneThatIsHeardAgain) {
  Begin();
  const Sender sender{WorkerId{0}, Incarnation{1}};
  for (int i = 0; i < 12; ++i) {
    Say(kShard, Beat{ShardId{0}});
    After(milliseconds(10));
  }
  EXPECT_TRUE(Says("worker_silent rank=0")) << out_.str();
  Say(1, Renew{sender});
  EXPECT_TRUE(Says("worker_heard rank=0 incarnation=1")) << out_.str();
  for (int i = 0; i < 12; ++i) After(milliseconds(10));
  Cut();
  EXPECT_TRUE(Says("worker_lost rank=0")) << out_.str();
}

}  // namespace
}  // namespace shardmill
