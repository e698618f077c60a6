// What may be another in a job that goes on, from a snapshot or from its coordinator's log.
#include <gtest/gtest.h>

#include <string>

#include "server/coordinator_journal.h"
#include "tests/server/coordinator_by_hand.h"

namespace shardmill {
namespace {

UpdateSettings Sgd(double rate) {
  UpdateSettings update;
  update.rate.base = rate;
  return update;
}

// A job with a learning rate of 0.05, which begins from a snapshot of one of 0.1.
class ResumeTest : public CoordinatorTest {
 protected:
  ResumeTest() : CoordinatorTest(FromSnapshot()) {
    Begin();
    Say(1, Renew{Who(0)});
  }

  static CoordinatorOptions FromSnapshot() {
    CoordinatorOptions options = Options();
    options.update = Sgd(0.05);
    Manifest manifest;
    manifest.number = 4;
    manifest.view.number = ViewNumber{8};
    manifest.view.generation = Generation{1};
    manifest.view.tables = {{TableId{1}, {"t", 8, {}, 0, Sgd(0.1)}, {0, 8}}};
    manifest.cut = {{WorkerId{0}, 10, 1, 10}, {WorkerId{1}, 10, 1, 10}};
    manifest.keys = {{"data.batch_size", "32"}, {"train.epochs", "2"}};
    options.resume = manifest;
    return options;
  }
  static Sender Who(uint32_t rank) { return {WorkerId{rank}, Incarnation{1}}; }
  std::string WordsTo(uint32_t rank, const TableSpec& spec) {
    const Outbox outbox = Say(rank + 1, MakeTable{Who(rank), spec});
    const Refused* refused = Find<Refused>(outbox, rank + 1);
    return refused == nullptr ? "" : refused->words;
  }
};

TEST_F(ResumeTest, GoesOnWithTheLearningRateThatIsAskedForAndSaysSo) {
  EXPECT_EQ(WordsTo(0, {"t", 8, {}}), "");
  EXPECT_EQ(WordsTo(1, {"t", 8, {}}), "") << "the same as the other";
  Cut();
  EXPECT_FALSE(coordinator_.view().tables.at(0).spec.update) << "it is the job's own";
  EXPECT_EQ(coordinator_.view().tables.size(), 1U);
  EXPECT_EQ(coordinator_.TakeUpdateChanges(),
            std::vector<std::string>{"table \"t\" has learning_rate 0.1; this asks for 0.05"});
  EXPECT_EQ(WordsTo(1, {"t", 8, {}, 0, Sgd(0.2)}),
            "there is a table \"t\" already with learning_rate 0.05; this asks for 0.2");
}

TEST_F(ResumeTest, KeepsTheUpdateOfATableThatIsAskedForAsItIs) {
  const Outbox outbox = Say(1, MakeTable{Who(0), {"t", 8, {}, 0, Sgd(0.1)}});
  EXPECT_NE(Find<ViewIs>(outbox, 1), nullptr);
  EXPECT_NE(WordsTo(1, {"t", 8, {}}), "") << "the first to ask says how it goes on";
}

TEST_F(ResumeTest, RefusesAnotherOptimizerAndAnotherSizeInExactWords) {
  UpdateSettings adam = Sgd(0.1);
  adam.rule = UpdateRule::kAdam;
  EXPECT_EQ(WordsTo(0, {"t", 8, {}, 0, adam}),
            "table \"t\" of the snapshot has optimizer sgd; this asks for adam, for which what was "
            "gathered is no good: keep the optimizer (optimizer.name, policy.exchange), or begin "
            "anew");
  EXPECT_EQ(WordsTo(0, {"t", 9, {}}),
            "there is a table \"t\" already with 8 floats; this asks for 9");
}

// A cut comes before all have taken the view with which the job begins.
TEST_F(ResumeTest, WhoHasRestoredNothingBeginsOnceMoreBehindARestart) {
  CoordinatorOptions options = FromSnapshot();
  options.snapshots.enabled = true;
  options.kept = {*std::exchange(options.resume, {})};  // As a process has it that goes on.
  const std::optional<CoordinatorState> kept = coordinator_.TakeState();
  ASSERT_TRUE(kept);
  Coordinator next(options, now_, *kept);
  Outbox said;
  const auto say = [&](uint64_t generation, Message message) {
    const Stamp stamp{kJob, Generation{generation}, {}, BootId{kShard}, kBoot};
    next.Handle(now_, {PeerId{kShard}, stamp, std::move(message)}, said);
  };
  say(2, Installed{next.decided().number});
  next.Tick(now_ += milliseconds(20), said);
  ASSERT_NE(Find<Freeze>(said, kShard), nullptr);
  said.clear();
  say(1, Frozen{next.decided().number.Next(), {}});
  next.Tick(now_ += milliseconds(20), said);
  ASSERT_NE(Find<Install>(said, kShard), nullptr);
  EXPECT_EQ(Find<Install>(said, kShard)->view.generation, Generation{3});
  EXPECT_EQ(Find<Install>(said, kShard)->restore, 4U);
}

TEST_F(ResumeTest, NamesTheKeyByWhichStepsWereCounted) {
  CoordinatorOptions options = FromSnapshot();
  options.keys = {{"data.batch_size", "32"}, {"train.epochs", "5"}};
  EXPECT_EQ(Coordinator::ResumeProblem(options), "");
  options.keys[0].value = "64";
  EXPECT_EQ(Coordinator::ResumeProblem(options),
            "snapshot 4 is of a job of other steps: data.batch_size is 64, and was 32; put that "
            "back, or begin anew");
}

TEST_F(ResumeTest, NamesTheKeyByWhichColumnsWereRead) {
  CoordinatorOptions options = FromSnapshot();
  options.resume->keys = {{"data.features", "[\"a\", \"b\"]"}};
  options.keys = options.resume->keys;
  EXPECT_EQ(Coordinator::ResumeProblem(options), "");
  options.keys[0].value = "[\"b\", \"a\"]";
  EXPECT_EQ(Coordinator::ResumeProblem(options),
            "snapshot 4 is of a job that read other columns: data.features is [\"b\", \"a\"], and "
            "was [\"a\", \"b\"]; put that back, or begin anew");
}

TEST_F(ResumeTest, RefusesFewerEpochsThanAreUsedAlready) {
  CoordinatorOptions options = FromSnapshot();
  options.data.leased = true;
  options.resume->data.rows = 10;
  options.resume->data.epoch = 2;
  options.resume->data.begin = 4;
  options.data.epochs = 3;
  EXPECT_EQ(Coordinator::ResumeProblem(options), "");
  options.data.epochs = 2;
  EXPECT_EQ(Coordinator::ResumeProblem(options),
            "snapshot 4 is in epoch 3 of its data, and this job has 2 (train.epochs)");
}

TEST_F(CoordinatorTest, IsNotStartedAgainWithAJobFileThatMeansAnotherJob) {
  const std::string folder = testing::TempDir() + "/another_job";
  CoordinatorOptions options = Options();
  options.keys = {{"policy.mode", "\"sync\""}, {"train.epochs", "2"}};
  coordinator_ = Coordinator(options, now_);
  Begin();
  {
    auto journal = CoordinatorJournal::Open(folder, options);
    ASSERT_TRUE(journal.ok());
    ASSERT_TRUE(journal.value()->Keep(coordinator_).ok());
  }
  EXPECT_TRUE(CoordinatorJournal::Open(folder, options).ok());
  options.keys[1].value = "3";
  const auto other = CoordinatorJournal::Open(folder, options);
  ASSERT_FALSE(other.ok());
  EXPECT_EQ(other.error().message,
            "the job in " + folder +
                " has begun, and the job file has changed since: train.epochs is 3, and was 2; put "
                "that back, or begin another job from a snapshot (snapshot.resume) with a folder "
                "of its own (cluster.state)");
}

TEST_F(CoordinatorTest, IsNotStartedAgainWithAJobFileOfAnotherSize) {
  const std::string folder = testing::TempDir() + "/another_size";
  CoordinatorOptions options = Options();
  coordinator_ = Coordinator(options, now_);
  Begin();
  {
    auto journal = CoordinatorJournal::Open(folder, options);
    ASSERT_TRUE(journal.ok());
    ASSERT_TRUE(journal.value()->Keep(coordinator_).ok());
  }
  options.replicas = 1;
  const auto other = CoordinatorJournal::Open(folder, options);
  ASSERT_FALSE(other.ok());
  const std::string size = std::to_string(options.workers) + " workers, " +
                           std::to_string(options.shards) + " shards and ";
  EXPECT_EQ(other.error().message,
            "the job in " + folder + " has " + size +
                "0 replicas of each, and this job file says " + size +
                "1 replicas of each; give a new job a folder of its own (cluster.state)");
}

}  // namespace
}  // namespace shardmill
