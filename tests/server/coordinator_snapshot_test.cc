// The part of Coordinator that makes cuts snapshots.
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tests/server/coordinator_by_hand.h"

namespace shardmill {
namespace {

// One that keeps snapshots, of a job with a table.
class KeepingCoordinatorTest : public CoordinatorTest {
 protected:
  explicit KeepingCoordinatorTest(const CoordinatorOptions& options = KeepingOptions())
      : CoordinatorTest(options) {
    Begin();
    Say(1, MakeTable{{WorkerId{0}, Incarnation{1}}, {"t", 8, {}}});
    Cut();
  }
  static CoordinatorOptions KeepingOptions() {
    CoordinatorOptions options = Options();
    options.name = "job";
    options.snapshots.enabled = true;
    options.snapshots.rounds = 10;
    options.snapshots.number = 6;
    options.snapshots.timeout = milliseconds(1000);
    return options;
  }
  // Time goes by, in which the shard is heard of.
  void Wait(milliseconds time) {
    for (; time > milliseconds(0); time -= milliseconds(20)) {
      Say(kShard, Beat{});
      After(milliseconds(20));
    }
  }
  void Complete(uint64_t rounds, uint64_t number) {
    ASSERT_EQ(CutAfter(rounds), number);
    Say(kShard, Saved{number, "", 100, 64, {1, 2}, 9});
    ASSERT_TRUE(coordinator_.TakeManifest());
    coordinator_.Wrote(now_, number, {});
  }
  void MakeAllSteps() {
    Say(1, Goodbye{{WorkerId{0}, Incarnation{1}}, true, 0});
    Say(2, Goodbye{{WorkerId{1}, Incarnation{1}}, true, 0});
  }
  // The cut that becomes a snapshot, after so many rounds; what the shard is told of it.
  uint64_t CutAfter(uint64_t rounds) {
    Beat beat;
    beat.closed = rounds;
    Say(kShard, beat);
    After(milliseconds(20));
    const ViewNumber number = coordinator_.view().number.Next();
    const Outbox outbox = Say(kShard, Frozen{number, {}});
    const Install* install = Find<Install>(outbox, kShard);
    if (install == nullptr) return 0;
    Say(kShard, Installed{number});
    return install->snapshot;
  }
};

TEST_F(KeepingCoordinatorTest, AsksForASnapshotWhenSoManyRoundsAreClosedAndGivesNoNumberTwice) {
  EXPECT_EQ(CutAfter(9), 0U);
  EXPECT_EQ(CutAfter(10), 7U);
  EXPECT_EQ(coordinator_.TakeState()->snapshot, 7U) << "on disk before anybody hears of it";
  EXPECT_EQ(CutAfter(20), 0U) << "one is under way";
  Say(kShard, Saved{7, "no room", 0, 0, {}, 0});
  EXPECT_EQ(coordinator_.snapshots()->given_up, 1U);
  EXPECT_EQ(coordinator_.snapshots()->problem, "snapshot 7: shard 0: no room");
  EXPECT_EQ(CutAfter(20), 8U);
}

TEST_F(KeepingCoordinatorTest, HandsOutTheManifestOnceWhenEachShardHasItsFile) {
  ASSERT_EQ(CutAfter(10), 7U);
  EXPECT_FALSE(coordinator_.TakeManifest());
  EXPECT_NE(Find<GetSaved>(After(milliseconds(20)), kShard), nullptr);
  Say(kShard, Saved{6, "", 1, 1, {1}, 1});
  EXPECT_FALSE(coordinator_.TakeManifest()) << "that is another one's";
  Say(kShard, Saved{7, "", 100, 64, {1, 2}, 9});
  const std::optional<Manifest> manifest = coordinator_.TakeManifest();
  ASSERT_TRUE(manifest);
  EXPECT_EQ(manifest->number, 7U);
  EXPECT_EQ(manifest->files.at(0).bytes, 100U);
  EXPECT_FALSE(coordinator_.TakeManifest());
  EXPECT_EQ(coordinator_.snapshots()->number, 0U) << "it is not on disk yet";
  coordinator_.Wrote(now_, 7, {});
  EXPECT_EQ(coordinator_.snapshots()->number, 7U);
  EXPECT_EQ(coordinator_.snapshots()->bytes, 100U);
}

TEST_F(KeepingCoordinatorTest, GivesUpASnapshotThatADiskHoldsUpAndNamesTheShardMeanwhile) {
  ASSERT_EQ(CutAfter(10), 7U);
  Wait(milliseconds(800));
  EXPECT_EQ(coordinator_.snapshots()->awaited,
            "waiting for shard 0 to write snapshot 7, for 1s of 1s (snapshot.timeout)");
  EXPECT_EQ(coordinator_.words(), "") << "the job does not wait for it";
  Wait(milliseconds(300));
  EXPECT_EQ(coordinator_.snapshots()->given_up, 1U);
  EXPECT_EQ(coordinator_.snapshots()->problem,
            "snapshot 7: shard 0 did not write it within 1s (snapshot.timeout)");
  EXPECT_EQ(coordinator_.snapshots()->awaited, "");
  EXPECT_EQ(CutAfter(20), 8U);
}

TEST_F(KeepingCoordinatorTest, EndsWithTheTruthWhereADiskHoldsUpTheLastSnapshot) {
  MakeAllSteps();
  ASSERT_EQ(CutAfter(1), 7U);
  Wait(milliseconds(400));
  EXPECT_EQ(coordinator_.words(),
            "waiting for shard 0 to write snapshot 7, for 0s of 1s (snapshot.timeout)");
  EXPECT_EQ(coordinator_.state(), JobState::kTraining);
  Wait(milliseconds(700));
  EXPECT_EQ(coordinator_.state(), JobState::kDone) << coordinator_.words();
  EXPECT_TRUE(coordinator_.final_lost());
  EXPECT_EQ(coordinator_.words(),
            "the job's last snapshot was lost: snapshot 7: shard 0 did not write it within 1s "
            "(snapshot.timeout)");
}

// Also where the one that hangs was begun before the end.
TEST_F(KeepingCoordinatorTest, NamesWhatTheEndOfTheJobWaitsForWhileAnEarlierSnapshotIsWritten) {
  ASSERT_EQ(CutAfter(10), 7U);
  MakeAllSteps();
  Wait(milliseconds(200));
  EXPECT_EQ(coordinator_.words(),
            "waiting for shard 0 to write snapshot 7, for 0s of 1s (snapshot.timeout)");
  Wait(milliseconds(900));
  EXPECT_EQ(CutAfter(10), 8U);
  Wait(milliseconds(1100));
  EXPECT_EQ(coordinator_.state(), JobState::kDone);
  EXPECT_TRUE(coordinator_.final_lost());
}

class PatientCoordinatorTest : public KeepingCoordinatorTest {
 protected:
  PatientCoordinatorTest() : KeepingCoordinatorTest(PatientOptions()) {}
  static CoordinatorOptions PatientOptions() {
    CoordinatorOptions options = KeepingOptions();
    options.retry_after = milliseconds(400);
    return options;
  }
};

TEST_F(PatientCoordinatorTest, GivesTheLastSnapshotTimeBetweenItsTriesAndSaysThatItIsLost) {
  MakeAllSteps();
  for (uint64_t number = 7; number <= 9; ++number) {
    ASSERT_EQ(CutAfter(1), number);
    EXPECT_EQ(coordinator_.state(), JobState::kTraining);
    Say(kShard, Saved{number, "no room", 0, 0, {}, 0});
    if (number == 9) break;
    EXPECT_EQ(Find<Freeze>(After(milliseconds(300)), kShard), nullptr);
    Say(kShard, Beat{});
    After(milliseconds(20));
    EXPECT_EQ(coordinator_.words(), "trying the last snapshot again: snapshot " +
                                        std::to_string(number) + ": shard 0: no room");
    Wait(milliseconds(80));
  }
  EXPECT_EQ(coordinator_.state(), JobState::kDone);
  EXPECT_TRUE(coordinator_.final_lost());
  EXPECT_EQ(coordinator_.words(), "the job's last snapshot was lost: snapshot 9: shard 0: no room");
  const CoordinatorState state = *coordinator_.TakeState();
  const Coordinator again(PatientOptions(), now_, state);
  EXPECT_EQ(again.state(), JobState::kDone);
  EXPECT_TRUE(again.final_lost());
}

TEST_F(KeepingCoordinatorTest, IsDoneWithItsLastSnapshot) {
  MakeAllSteps();
  Complete(1, 7);
  EXPECT_EQ(coordinator_.state(), JobState::kDone);
  EXPECT_FALSE(coordinator_.final_lost());
  EXPECT_EQ(coordinator_.words(), "");
}

TEST_F(KeepingCoordinatorTest, GoesBackToTheSnapshotBeforeOneThatCannotBeRead) {
  Complete(10, 7);
  Complete(20, 8);
  After(milliseconds(200));
  Say(51, Register{ShardId{0}, "s"});
  const Outbox newest = After(milliseconds(20));
  ASSERT_NE(Find<Install>(newest, 51), nullptr);
  ASSERT_EQ(Find<Install>(newest, 51)->restore, 8U);
  const uint64_t about = Find<Install>(newest, 51)->view.number.value;
  Say(51, Refused{Refusal::kFailed, about, "a byte is another"});
  Say(51, Refused{Refusal::kFailed, about, "a byte is another"});
  const Outbox older = After(milliseconds(20));
  ASSERT_NE(Find<Install>(older, 51), nullptr) << coordinator_.words();
  EXPECT_EQ(Find<Install>(older, 51)->restore, 7U);
  EXPECT_EQ(Find<Install>(older, 51)->view.generation, Generation{3});
  EXPECT_EQ(coordinator_.snapshots()->damaged, 1U);
  EXPECT_EQ(coordinator_.rollbacks(), 2U);
  EXPECT_EQ(coordinator_.rollback_words(), "snapshot 8 cannot be read: shard 0: a byte is another");
  Say(51, Refused{Refusal::kFailed, about, "a byte is another"});
  EXPECT_EQ(coordinator_.state(), JobState::kTraining) << "that view is given up";
  Say(51, Refused{Refusal::kFailed, Find<Install>(older, 51)->view.number.value, "this one, too"});
  EXPECT_EQ(coordinator_.state(), JobState::kFailed);
  EXPECT_EQ(coordinator_.words(), "shard 0: this one, too");
}

// Begins from the later of two snapshots of another job, which the shard cannot read.
class ResumingCoordinatorTest : public CoordinatorTest, public testing::WithParamInterface<bool> {
 protected:
  ResumingCoordinatorTest() : CoordinatorTest(ResumingOptions(GetParam())) {}
  static Manifest ManifestOf(uint64_t job, uint64_t number) {
    Manifest manifest;
    manifest.job = JobId{job};
    manifest.number = number;
    manifest.view.generation = Generation{2};
    manifest.view.tables = {{TableId{1}, {"t", 8, {}}, {0, 8}}};
    manifest.cut = {{WorkerId{0}, number}, {WorkerId{1}, number}};
    return manifest;
  }
  static CoordinatorOptions ResumingOptions(bool exactly) {
    CoordinatorOptions options = Options();
    options.snapshots.enabled = true;
    // One of a job between them is none of this one's.
    options.kept = {ManifestOf(3, 4), ManifestOf(5, 6), ManifestOf(3, 7)};
    options.resume = options.kept.back();
    options.resume_exactly = exactly;
    return options;
  }
};

TEST_P(ResumingCoordinatorTest, BeginsFromTheOneBeforeUnlessItWasToldWhichOne) {
  Say(kShard, Register{ShardId{0}, "s"});
  Say(1, Join{WorkerId{0}});
  Say(2, Join{WorkerId{1}});
  After(milliseconds(1));
  const Outbox first = Say(kShard, Frozen{ViewNumber{1}, {}});
  ASSERT_NE(Find<Install>(first, kShard), nullptr);
  ASSERT_EQ(Find<Install>(first, kShard)->restore, 7U);
  Say(kShard, Refused{Refusal::kFailed, 1, "a byte is another"});
  const Outbox second = After(milliseconds(20));
  if (GetParam()) {
    EXPECT_EQ(coordinator_.state(), JobState::kFailed);
    return;
  }
  const Install* install = Find<Install>(second, kShard);
  ASSERT_NE(install, nullptr) << coordinator_.words();
  EXPECT_EQ(install->restore, 4U);
  EXPECT_EQ(install->cut.at(1).ended, 4U);
  const Outbox granted = Say(kShard, Installed{install->view.number});
  ASSERT_NE(Find<Granted>(granted, 1), nullptr);
  EXPECT_EQ(coordinator_.state(), JobState::kTraining);
}

INSTANTIATE_TEST_SUITE_P(Exactly, ResumingCoordinatorTest, testing::Bool());

}  // namespace
}  // namespace shardmill
