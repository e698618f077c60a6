// A job that goes back to its last snapshot, as its coordinator sees it.
#include <gtest/gtest.h>

#include "tests/server/coordinator_by_hand.h"

namespace shardmill {
namespace {

// One that keeps snapshots, by rounds or by epochs, of a job with a table.
class RollbackTest : public CoordinatorTest {
 protected:
  RollbackTest() : CoordinatorTest(Keeping()) {
    Begin();
    Say(1, MakeTable{Who(0), {"t", 8, {}}});
    Cut();
  }

  static CoordinatorOptions Keeping() {
    CoordinatorOptions options = Options();
    options.name = "job";
    options.snapshots.enabled = true;
    options.snapshots.rounds = 10;
    options.snapshots.epochs = 2;
    return options;
  }
  static Sender Who(uint32_t rank) { return {WorkerId{rank}, Incarnation{1}}; }

  // A snapshot at these steps of the two workers, complete where `written`.
  void Save(Step first, Step second, bool written = true) {
    Beat beat;
    beat.closed = rounds_ += 10;
    Say(kShard, beat);
    Cut({{WorkerId{0}, first, 1, first}, {WorkerId{1}, second, 1, second}});
    Complete(written);
  }
  void Complete(bool written = true) {
    Saved saved;
    saved.snapshot = coordinator_.snapshots()->under_way;
    ASSERT_GT(saved.snapshot, 0U);
    if (!written) return;
    saved.bytes = saved.piece_bytes = 1;
    saved.piece_crcs = {1};
    Say(kShard, saved);
    ASSERT_TRUE(coordinator_.TakeManifest());
    coordinator_.Wrote(now_, saved.snapshot, {});
  }
  // Another process in the place of the shard: what it is told to install.
  std::optional<Install> Lose(uint64_t process) {
    After(milliseconds(200));
    Say(process, Register{ShardId{0}, "s2"});
    const Outbox outbox = After(milliseconds(20));
    const Install* install = Find<Install>(outbox, process);
    return install == nullptr ? std::nullopt : std::optional(*install);
  }
  bool SaysEpochs(uint64_t epochs) {
    for (uint32_t rank = 0; rank < 2; ++rank) {
      Report report;
      report.sender = Who(rank);
      report.step = ++step_;
      report.epoch = epochs;
      Say(rank + 1, report);
    }
    return Find<Freeze>(After(milliseconds(20)), 51) != nullptr;
  }

  uint64_t rounds_ = 0;
  Step step_ = 100;
};

TEST_F(RollbackTest, GoesBackToItsLastSnapshotWithThoseWhoAreThere) {
  Save(10, 11);
  Save(20, 21);
  const std::optional<Install> install = Lose(51);
  ASSERT_TRUE(install);
  EXPECT_EQ(install->restore, 2U);
  EXPECT_EQ(install->view.generation, Generation{2});
  EXPECT_EQ(install->view.shards.at(0).boot, BootId{51});
  EXPECT_EQ(install->view.tables.size(), 1U);
  EXPECT_TRUE(coordinator_.TakeState()) << "on disk before anybody hears of it";
  const Outbox outbox = Say(51, Installed{install->view.number});
  ASSERT_NE(Find<Granted>(outbox, 1), nullptr);
  EXPECT_EQ(Find<Granted>(outbox, 1)->ended, 20U);
  EXPECT_EQ(Find<Granted>(outbox, 2)->ended, 21U);
  EXPECT_EQ(Find<Granted>(outbox, 2)->incarnation, Incarnation{1}) << "nobody is replaced";
  EXPECT_EQ(coordinator_.rollbacks(), 1U);
}

TEST_F(RollbackTest, BeginsAnewWhereNoSnapshotIsCompleteAndGivesUpTheOneUnderWay) {
  Save(10, 10, false);
  const std::optional<Install> install = Lose(51);
  ASSERT_TRUE(install);
  EXPECT_EQ(install->restore, 0U);
  EXPECT_TRUE(install->cut.empty());
  EXPECT_EQ(coordinator_.snapshots()->given_up, 1U);
  EXPECT_EQ(coordinator_.snapshots()->problem, "snapshot 1: shard 0 was lost");
}

TEST_F(RollbackTest, HasWhoWasDoneMakeItsLastStepsAgain) {
  Save(10, 10);
  Say(1, Goodbye{Who(0), true, 15});
  EXPECT_EQ(coordinator_.ranks()[0].state, RankStatus::State::kDone);
  const std::optional<Install> install = Lose(51);
  ASSERT_TRUE(install);
  EXPECT_EQ(coordinator_.ranks()[0].state, RankStatus::State::kTraining);
  EXPECT_EQ(coordinator_.ranks()[0].acked, 0U);
  const Outbox outbox = Say(51, Installed{install->view.number});
  ASSERT_NE(Find<Granted>(outbox, 1), nullptr);
  EXPECT_EQ(Find<Granted>(outbox, 1)->ended, 10U);
}

// What a worker says of the generation before is answered by where it goes on.
TEST_F(RollbackTest, TellsWhoHasNotHeardOfItThatTheJobHasGoneBack) {
  Save(10, 10);
  const std::optional<Install> install = Lose(51);
  ASSERT_TRUE(install);
  Say(51, Installed{install->view.number});
  Outbox outbox;
  coordinator_.Handle(
      now_, {PeerId{1}, {kJob, Generation{1}, {}, BootId{1}, kBoot}, Goodbye{Who(0), true, 15}},
      outbox);
  EXPECT_NE(coordinator_.ranks()[0].state, RankStatus::State::kDone);
  EXPECT_NE(Find<Granted>(outbox, 1), nullptr);
}

// Five of five jobs in which the server and the coordinator were killed together stood still, once:
// this process has never heard where a worker is.
TEST_F(RollbackTest, TellsAWorkerThatAsksWhereTheJobGoesOnAlsoAfterItsOwnRestart) {
  Save(10, 10);
  CoordinatorOptions options = Keeping();
  Manifest manifest;
  manifest.job = kJob;
  manifest.number = 1;
  manifest.view = coordinator_.view();
  manifest.cut = {{WorkerId{0}, 10, 1, 10}, {WorkerId{1}, 10, 1, 10}};
  options.kept = {manifest};
  const std::optional<CoordinatorState> disk = coordinator_.TakeState();
  ASSERT_TRUE(disk);
  coordinator_ = Coordinator(options, now_, *disk);
  const std::optional<Install> install = Lose(51);
  ASSERT_TRUE(install);
  EXPECT_EQ(install->restore, 1U);
  EXPECT_EQ(Find<Granted>(Say(51, Installed{install->view.number}), 1), nullptr);
  const Outbox news = Say(1, GetView{});
  ASSERT_NE(Find<ViewIs>(news, 1), nullptr);
  EXPECT_EQ(Find<ViewIs>(news, 1)->view.generation, Generation{2});
  const Outbox outbox = Say(1, Join{WorkerId{0}});
  ASSERT_NE(Find<Granted>(outbox, 1), nullptr);
  EXPECT_EQ(Find<Granted>(outbox, 1)->ended, 10U);
}

TEST_F(RollbackTest, CountsEpochsFromTheSnapshotThatItHasGoneBackTo) {
  Save(10, 10);
  const std::optional<Install> back = Lose(51);
  ASSERT_TRUE(back);
  Say(51, Installed{back->view.number});
  ASSERT_TRUE(SaysEpochs(2));
  const ViewNumber number = coordinator_.view().number.Next();
  Say(51, Frozen{number, {}});
  Say(51, Installed{number});
  EXPECT_EQ(coordinator_.snapshots()->under_way, 2U);
  // It is lost before it is whole, and so the second epoch's end comes once more.
  const std::optional<Install> again = Lose(52);
  ASSERT_TRUE(again);
  EXPECT_EQ(again->restore, 1U);
  Say(52, Installed{again->view.number});
  SaysEpochs(2);
  const Outbox outbox = Say(52, Frozen{coordinator_.view().number.Next(), {}});
  ASSERT_NE(Find<Install>(outbox, 52), nullptr) << "there is no cut";
  EXPECT_EQ(Find<Install>(outbox, 52)->snapshot, 3U);
}

}  // namespace
}  // namespace shardmill
