#include "cli/progress.h"

#include <gtest/gtest.h>

#include <sstream>

namespace shardmill {
namespace {

JobStatus Training(uint64_t step, uint64_t epoch) {
  JobStatus status;
  status.state = JobStatus::State::kTraining;
  JobStatus::Worker worker;
  worker.step = step + 2;
  worker.epoch = epoch;
  worker.samples = 6000;
  worker.seconds = 2;
  worker.metrics = {{"accuracy", 0.8125}, {"weights_crc32", 7}};
  status.workers.push_back(worker);
  worker.step = step;
  worker.rank = 1;
  status.workers.push_back(worker);
  return status;
}

struct Screen {
  std::ostringstream out;
  std::ostringstream err;
  Console console{.out = out, .err = err};
};

TEST(ProgressTest, WritesALineEveryFewSecondsOffATerminal) {
  Screen screen;
  Progress progress(screen.console, 10);
  const TimePoint begin{};
  progress.Show(Training(1234, 0), begin);
  progress.Show(Training(1236, 0), begin + std::chrono::seconds(1));
  progress.Show(Training(1238, 0), begin + std::chrono::seconds(6));
  progress.Clear();
  EXPECT_EQ(screen.err.str(),
            "epoch 1/10  accuracy 0.8125  6,000 samples/s  step 1,234  lag 2\n"
            "epoch 1/10  accuracy 0.8125  6,000 samples/s  step 1,238  lag 2\n");
}

TEST(ProgressTest, SaysWhomAStartWaitsFor) {
  Screen screen;
  Progress progress(screen.console, 10);
  JobStatus status;
  status.words = "waiting for worker 1";
  progress.Show(status, TimePoint{});
  EXPECT_EQ(screen.err.str(), "starting: waiting for worker 1\n");
}

TEST(ProgressTest, KnowsTheTimeLeftOnceAnEpochIsDone) {
  Screen screen;
  Progress progress(screen.console, 10);
  progress.Show(Training(98, 1), TimePoint{});
  // The first took two seconds, and nine are to come.
  EXPECT_NE(screen.err.str().find("0:18 left"), std::string::npos) << screen.err.str();
}

TEST(ProgressTest, GoesByTheStepsThatAreTheMost) {
  Screen screen;
  Progress progress(screen.console, 10, 200);
  progress.Show(Training(50, 0), TimePoint{});
  EXPECT_NE(screen.err.str().find("  up to 0:06 left"), std::string::npos) << screen.err.str();
  progress.Show(Training(100, 1), TimePoint{} + std::chrono::seconds(9));
  EXPECT_NE(screen.err.str().find("  0:02 left"), std::string::npos) << screen.err.str();
}

TEST(ProgressTest, NamesTheSilentWorkerThatTheJobWaitsForInsteadOfATimeLeft) {
  Screen screen;
  Progress progress(screen.console, 10);
  JobStatus status = Training(98, 1);
  status.workers[1].silent_seconds = 6.2;
  status.shards.push_back({.id = 0, .parked_pulls = 1, .waiting_for = 1});
  progress.Show(status, TimePoint{});
  EXPECT_NE(screen.err.str().find("  waiting for worker 1, silent 6 s  "), std::string::npos)
      << screen.err.str();
  EXPECT_EQ(screen.err.str().find("left"), std::string::npos) << screen.err.str();
}

TEST(ProgressTest, SaysNothingOfASilenceThatHoldsNobodyUp) {
  Screen screen;
  Progress progress(screen.console, 10);
  JobStatus status = Training(98, 1);
  status.workers[1].silent_seconds = 6.2;
  progress.Show(status, TimePoint{});
  EXPECT_EQ(screen.err.str().find("waiting"), std::string::npos) << screen.err.str();
}

TEST(ProgressTest, DrawsOneLineAnewOnATerminalAndTakesItAway) {
  Screen screen;
  screen.console.animate = true;
  screen.console.columns = 60;
  Progress progress(screen.console, 2);
  progress.Show(Training(100, 1), TimePoint{});
  const std::string drawn = screen.err.str();
  EXPECT_EQ(drawn.find("\r\x1b[K[========"), 0U) << drawn;
  EXPECT_EQ(drawn.find('\n'), std::string::npos);
  EXPECT_EQ(drawn.find("\x1b[32m"), std::string::npos);
  EXPECT_LE(drawn.size(), 60 + std::string("\r\x1b[K").size());
  progress.Clear();
  EXPECT_TRUE(screen.err.str().ends_with("\r\x1b[K"));
}

TEST(ProgressTest, FormatsTimeLeft) {
  EXPECT_EQ(FormatTimeLeft(0.2), "0:01");
  EXPECT_EQ(FormatTimeLeft(67), "1:07");
  EXPECT_EQ(FormatTimeLeft(7205), "2:00:05");
}

}  // namespace
}  // namespace shardmill
