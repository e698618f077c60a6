#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "common/blob/memory_files.h"
#include "server/log_desk.h"
#include "server/shard.h"

namespace shardmill {
namespace {

using std::chrono::milliseconds;

constexpr JobId kJob{7};
constexpr PeerId kCoordinator{1};
constexpr PeerId kWorker{100};
constexpr TableId kDense{1};
constexpr TableId kSparse{2};
constexpr uint64_t kFloats = 1000;
constexpr uint32_t kDim = 3;

// A shard and the disk of its log; the test plays the coordinator and a worker.
class LoggedShardTest : public testing::Test {
 protected:
  LoggedShardTest() {
    view_.policy = {ApplyRule::kOnArrival, true, 4};
    view_.number = ViewNumber{1};
    view_.members = {{WorkerId{0}, Incarnation{1}, 0}};
    view_.shards = {{ShardId{0}, Term{1}, BootId{10}, ""}};
    view_.tables = {{kDense, {"d", kFloats, {}}, {0, kFloats}},
                    {kSparse, {"s", 0, {}, kDim}, {0, kBuckets}}};
  }

  // A process that finds what the disk has.
  void Start(uint64_t boot, JobId job = kJob, ShardId shard = {}) {
    boot_ = BootId{boot};
    job_ = job;
    ShardOptions options;
    options.id = shard;
    options.boot = boot_;
    options.coordinator = kCoordinator;
    options.update.rule = UpdateRule::kAdam;
    options.update.rate.base = 0.5;
    options.log = true;
    options.log_entries_bytes = 20'000;
    shard_ = std::move(Shard::Make(options, frames_)).value();
    desk_ = std::make_unique<LogDesk>(files_, "logs", ShardId{0}, frames_);
    WorkDisk();
    Give(kCoordinator, Welcome{}, 0);
    Tick();
    Give(kCoordinator, Registered{}, 0);
  }

  void Give(PeerId from, Message message, uint64_t term = 1) {
    const Stamp stamp{job_, view_.generation, Term{term}, BootId{from.value}, boot_};
    Outbox outbox;
    shard_->Handle(now_, {from, stamp, std::move(message)}, outbox);
    Hear(outbox);
  }
  void Hear(Outbox& outbox) {
    for (Outgoing& out : outbox) said_[out.peer].push_back(std::move(out.message));
  }
  void Tick() {
    now_ += milliseconds(20);
    Outbox outbox;
    shard_->Tick(now_, outbox);
    Hear(outbox);
  }
  // All that the shard wants of the disk now.
  void WorkDisk() {
    while (std::optional<LogRequest> request = shard_->NextLogRequest()) {
      std::vector<LogAnswer> answers;
      desk_->Do(*request, [&answers](LogAnswer answer) -> Result<> {
        answers.push_back(std::move(answer));
        return {};
      });
      for (LogAnswer& answer : answers) {
        Outbox outbox;
        shard_->Handle(std::move(answer), outbox);
        Hear(outbox);
      }
    }
  }
  void Lead(std::vector<RankState> cut = {}) {
    const uint64_t term = view_.shards[0].term.value;
    Give(kCoordinator, Freeze{view_.number, Term{term}}, term);
    Give(kCoordinator, Replicas{ShardId{0}, ++number_, {}, {}}, term);
    Give(kCoordinator, Install{view_, std::move(cut)}, term);
    Tick();
    WorkDisk();
  }
  // The coordinator has written down that the log of that term counts.
  void Count(uint64_t term) {
    Give(kCoordinator, Replicas{ShardId{0}, ++number_, {}, Term{term}}, term);
    Tick();
  }

  void Finish(Step step) {
    const uint64_t term = view_.shards[0].term.value;
    const Sender who{WorkerId{0}, Incarnation{1}};
    std::vector<float> gradient(kFloats);
    for (size_t i = 0; i < gradient.size(); ++i) {
      gradient[i] = static_cast<float>((i + step * 7) % 13) - 6.0F;
    }
    Give(kWorker, Unit{who, step, 0, 0, kDense, 0, Frame::CopyOf(gradient)}, term);
    const std::vector<uint64_t> keys = {step, step + 1000};
    Unit rows{who, step, 0, 1, kSparse, 0, Frame::CopyOf(std::vector<float>(2 * kDim, 0.25F))};
    rows.keys = {step, Frame::CopyOf(std::as_bytes(std::span(keys)))};
    Give(kWorker, rows, term);
    Give(kWorker, End{who, step, 0, 2, 1}, term);
  }
  size_t Acks() const {
    const auto found = said_.find(kWorker);
    if (found == said_.end()) return 0;
    return static_cast<size_t>(std::ranges::count_if(
        found->second, [](const Message& m) { return std::holds_alternative<Ended>(m); }));
  }
  template <class Kind>
  const Kind* Last() const {
    const auto& all = said_.at(kCoordinator);
    for (auto it = all.rbegin(); it != all.rend(); ++it) {
      if (const auto* kind = std::get_if<Kind>(&*it)) return kind;
    }
    return nullptr;
  }

  TimePoint now_{};
  FramePool frames_{FramePool::Memory::kPrivate};
  MemoryFiles files_{1};
  std::unique_ptr<LogDesk> desk_;
  std::unique_ptr<Shard> shard_;
  BootId boot_;
  JobId job_;
  View view_;
  uint64_t number_ = 0;
  std::map<PeerId, std::vector<Message>> said_;
};

TEST_F(LoggedShardTest, AnswersWhatIsOnDiskInTheLogThatCounts) {
  Start(10);
  Lead();
  Finish(1);
  WorkDisk();
  EXPECT_EQ(Acks(), 0U) << "the coordinator does not know of the log";
  EXPECT_EQ(Last<Beat>()->log.term, Term{1});
  Count(1);
  EXPECT_EQ(Acks(), 1U);
  Finish(2);
  EXPECT_EQ(Acks(), 1U) << "it is not on disk";
  Give(kWorker, End{{WorkerId{0}, Incarnation{1}}, 2, 0, 2, 1}, view_.shards[0].term.value);
  EXPECT_EQ(std::get<Refused>(said_.at(kWorker).back()).words,
            "its answers wait for its log to be on disk");
  WorkDisk();
  EXPECT_EQ(Acks(), 2U);
}

TEST_F(LoggedShardTest, GoesOnFromItsLogToTheBit) {
  Start(10);
  Lead();
  Count(1);
  for (Step step = 1; step <= 30; ++step) {  // The log is cut off meanwhile.
    Finish(step);
    WorkDisk();
    Tick();
  }
  EXPECT_EQ(Acks(), 30U);
  EXPECT_LT(Last<Beat>()->log.bytes, 100'000U);
  const std::vector<float> dense = shard_->Snapshot(kDense);
  const auto sparse = shard_->Rows(kSparse);
  files_.Restart();
  Start(11);
  EXPECT_EQ(Last<Register>()->log, (LogMark{Generation{}, Term{1}}));
  EXPECT_EQ(shard_->Snapshot(kDense), dense);
  EXPECT_EQ(shard_->Rows(kSparse), sparse);
  EXPECT_EQ(shard_->States().at(0).ended, 30U);
  // It is the primary of the next term, and what is answered is in a log of that one.
  view_.number = ViewNumber{2};
  view_.shards[0] = {ShardId{0}, Term{2}, BootId{11}, ""};
  number_ = 0;
  Lead(shard_->States());
  Finish(31);
  WorkDisk();
  EXPECT_EQ(Acks(), 30U);
  Count(2);
  EXPECT_EQ(Acks(), 31U);
  Start(12);
  EXPECT_EQ(Last<Register>()->log, (LogMark{Generation{}, Term{2}}));
  EXPECT_EQ(shard_->States().at(0).ended, 31U);
}

TEST_F(LoggedShardTest, TakesNoOtherShardsLog) {
  Start(10);
  Lead();
  WorkDisk();
  Start(11, kJob, ShardId{1});
  ASSERT_TRUE(shard_->failure());
  EXPECT_EQ(shard_->failure()->message, "logs/shard-0.log cannot be taken: it is that of shard 0");
}

// What the process before has written may be in memory alone.
TEST_F(LoggedShardTest, TellsTheCoordinatorOfNothingThatItsOwnLogLacks) {
  Start(10);
  Lead();
  Count(1);
  Finish(1);
  WorkDisk();
  ASSERT_EQ(Acks(), 1U);
  Start(11);
  said_[kCoordinator].clear();
  Give(kCoordinator, Freeze{ViewNumber{2}, Term{2}}, 2);
  number_ = 1;
  Give(kCoordinator, Replicas{ShardId{0}, number_, {}, Term{1}}, 2);
  Tick();
  EXPECT_EQ(Last<Frozen>(), nullptr);
  view_.shards[0] = {ShardId{0}, Term{2}, boot_, ""};
  WorkDisk();
  EXPECT_EQ(Last<Frozen>(), nullptr);
  Count(2);
  ASSERT_NE(Last<Frozen>(), nullptr);
  EXPECT_EQ(Last<Frozen>()->ranks.at(0).ended, 1U);
}

TEST_F(LoggedShardTest, SaysThatItsDiskHangs) {
  Start(10);
  Lead();
  Count(1);
  Finish(1);
  ASSERT_TRUE(shard_->NextLogRequest());  // Of which nothing comes.
  Tick();
  EXPECT_EQ(shard_->Status().log.term, Term{1});
  now_ += std::chrono::seconds(30);
  Tick();
  EXPECT_EQ(shard_->Status().log.term, Term{});
  EXPECT_NE(shard_->Status().log.problem.find("for 30s"), std::string::npos)
      << shard_->Status().log.problem;
  EXPECT_EQ(Acks(), 0U);
}

TEST_F(LoggedShardTest, AnswersNothingAfterASyncThatFailedUntilAnotherFileHasAll) {
  Start(10);
  Lead();
  Count(1);
  files_.FailSyncAfter(1);
  Finish(1);
  WorkDisk();
  EXPECT_EQ(Acks(), 0U);
  EXPECT_EQ(Last<Beat>()->log.term, Term{});
  EXPECT_FALSE(Last<Beat>()->log.problem.empty());
  Tick();
  now_ += std::chrono::seconds(2);
  for (int i = 0; i < 3; ++i) {
    Tick();
    WorkDisk();
  }
  EXPECT_EQ(Acks(), 1U);
  files_.Restart();
  Start(11);
  EXPECT_EQ(shard_->States().at(0).ended, 1U);
}

TEST_F(LoggedShardTest, LeavesTheLogOfAnotherJobAlone) {
  Start(10);
  Lead();
  Start(11, JobId{8});
  ASSERT_TRUE(shard_->failure());
  EXPECT_NE(shard_->failure()->message.find("another job"), std::string::npos);
}

}  // namespace
}  // namespace shardmill
