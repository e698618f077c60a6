#include "server/shard_timeline.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace shardmill {
namespace {

constexpr PeerId kCoordinator{1};
constexpr BootId kCoordinatorBoot{30};
constexpr BootId kShardBoot{10};
constexpr TableId kTable{1};
constexpr uint64_t kFloats = 8;

// Moves on by a microsecond whenever it is read.
class TickingClock final : public Clock {
 public:
  TimePoint Now() const override { return now_ += std::chrono::microseconds(1); }

 private:
  mutable TimePoint now_;
};

// Counts what it is told.
class CountingObserver final : public ShardObserver {
 public:
  void TookView(JobId /*job*/, const View& /*view*/) override { ++views; }
  void Restored(uint64_t /*version*/, const std::vector<RankState>& /*ranks*/) override {}
  void Applied(const LogEntry& /*entry*/) override { ++entries; }
  void Served(const Pull& /*pull*/, BootId /*reader*/, const Pulled& /*answer*/) override {
    ++served;
  }

  int views = 0;
  int entries = 0;
  int served = 0;
};

// The only shard of a job of two workers that close rounds together, on a lane.
class ShardTimelineTest : public testing::Test {
 protected:
  ShardTimelineTest() {
    ShardOptions options;
    options.boot = kShardBoot;
    options.coordinator = kCoordinator;
    shard_ = std::move(Shard::Make(options, frames_, &timeline_)).value();
    timed_.Set(*shard_, &timeline_);
    Send(kCoordinator, kCoordinatorBoot, Welcome{});
    View view;
    view.number = ViewNumber{1};
    view.members = {{WorkerId{0}, Incarnation{1}, 0}, {WorkerId{1}, Incarnation{1}, 0}};
    view.shards = {{ShardId{0}, Term{1}, kShardBoot, ""}};
    view.tables = {{kTable, {"weights", kFloats, {}}, {0, kFloats}}};
    Send(kCoordinator, kCoordinatorBoot, Freeze{view.number});
    Send(kCoordinator, kCoordinatorBoot, Install{view, {}});
  }

  void Send(PeerId peer, BootId boot, Message message) {
    const Stamp stamp{JobId{7}, {}, Term{1}, boot, kShardBoot};
    Outbox outbox;
    timed_.Take({}, {peer, stamp, std::move(message)}, outbox);
    while (timed_.Settle(outbox)) {
    }
  }
  void Say(uint32_t rank, Message message) {
    Send(PeerId{100 + rank}, BootId{100 + rank}, std::move(message));
  }
  static Sender Who(uint32_t rank) { return {WorkerId{rank}, Incarnation{1}}; }
  void Finish(uint32_t rank) {
    const Frame gradient = Frame::CopyOf(std::vector<float>(kFloats, -1));
    Say(rank, Unit{Who(rank), 1, 0, 0, kTable, 0, gradient});
    Say(rank, End{Who(rank), 1, 0, 1, 1});
  }
  void Read(uint32_t rank, Step step) {
    Say(rank, Pull{Who(rank), step, 1, kTable, 0, kFloats, 0});
  }

  // What has been added to the lane since it was last asked, a word for each kind and its name.
  std::string Added() {
    std::string words;
    size_t at = 0;
    lane_.ForEach([&](const TimelineEvent& event) {
      if (at++ < told_) return;
      constexpr const char* kWords[] = {"",       "asks ",    "takes ", "answers ", "hears ",
                                        "leads ", "follows ", "opens ", "closes "};
      words += (words.empty() ? "" : ", ") + std::string(kWords[static_cast<size_t>(event.kind)]) +
               event.name;
      last_ = event;
    });
    told_ = at;
    return words;
  }

  // The fact of the event that Added told last.
  uint64_t Fact(const std::string& key) const {
    for (const TimelineEvent::Fact& fact : last_.facts) {
      if (fact.key != nullptr && fact.key == key) return fact.number;
    }
    return ~uint64_t{0};
  }

  FramePool frames_{FramePool::Memory::kPrivate};
  TickingClock clock_;
  TimelineLane lane_{1, "shard 0", clock_};
  CountingObserver next_;
  ShardTimeline timeline_{ShardId{0}, lane_, &next_};
  std::unique_ptr<Shard> shard_;
  TimedShard timed_;
  size_t told_ = 0;
  TimelineEvent last_;
};

TEST_F(ShardTimelineTest, ShowsACutFromItsFreezeToItsView) {
  EXPECT_EQ(Added(), "opens cut, freeze, closes cut, install view");
  EXPECT_EQ(Fact("view"), 1U);
}

TEST_F(ShardTimelineTest, ShowsARoundFromItsPushesToItsSums) {
  Added();
  Finish(0);
  EXPECT_EQ(Added(),
            "takes push, answers push, hold push, leads apply, takes end, take end of step");
  EXPECT_EQ(Fact("worker"), 0U);
  EXPECT_EQ(Fact("step"), 1U);
  Finish(1);
  EXPECT_EQ(Added(),
            "takes push, answers push, hold push, leads apply, takes end, take end of step, "
            "follows apply, follows apply, apply, answers end, answers end, settle");
  EXPECT_EQ(Fact("version"), 1U);
}

TEST_F(ShardTimelineTest, ShowsWhatAnEntryIsMadeOf) {
  Finish(1);
  Finish(0);
  TimelineEvent apply;
  lane_.ForEach([&apply](const TimelineEvent& event) {
    if (event.kind == TimelineKind::kSpan && std::string(event.name) == "apply") apply = event;
  });
  EXPECT_STREQ(apply.facts[0].text, "weights");
  EXPECT_EQ(apply.facts[1].number, 2 * kFloats * sizeof(float));
  EXPECT_EQ(apply.facts[2].number, 1U);  // Its version.
  EXPECT_EQ(apply.facts[3].number, 2U);  // Its steps.
  EXPECT_EQ(apply.facts[4].number, 0U);  // The last worker.
}

TEST_F(ShardTimelineTest, ShowsAPullAsParkedUntilTheRoundCloses) {
  Finish(0);
  Added();
  Read(0, 2);
  EXPECT_EQ(Added(), "takes pull, opens parked pull, take pull");
  Finish(1);
  EXPECT_NE(Added().find("answers pull, closes parked pull"), std::string::npos);
  Read(1, 2);
  EXPECT_EQ(Added(), "takes pull, answers pull, take pull");
}

TEST_F(ShardTimelineTest, PassesAllThatItIsToldOn) {
  Finish(0);
  Finish(1);
  Read(0, 2);
  EXPECT_EQ(next_.views, 1);
  EXPECT_EQ(next_.entries, 1);
  EXPECT_EQ(next_.served, 1);
}

}  // namespace
}  // namespace shardmill
