#include "common/process/signals.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <thread>

namespace shardmill {
namespace {

constexpr std::chrono::milliseconds kPatience{20000};

// Runs `body` in a process of its own, whose signals are its own too. Returns how it ended.
int RunApart(int (*body)()) {
  const pid_t pid = fork();
  if (pid == 0) _exit(body());
  int status = 0;
  EXPECT_EQ(waitpid(pid, &status, 0), pid);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

TEST(StopSourceTest, KeepsTheFirstReason) {
  StopSource stop;
  EXPECT_FALSE(stop.requested());
  EXPECT_FALSE(stop.WaitFor(std::chrono::milliseconds(0)));
  stop.Request(StopReason::kTerminate);
  stop.Request(StopReason::kInterrupt);
  EXPECT_EQ(stop.reason(), StopReason::kTerminate);
}

TEST(StopSourceTest, WakesWhoWaits) {
  StopSource stop;
  std::thread other([&] { stop.Request(StopReason::kFailed); });
  EXPECT_TRUE(stop.WaitFor(kPatience));
  other.join();
}

TEST(SignalWatcherTest, TurnsSignalsIntoRequestsToStop) {
  EXPECT_EQ(RunApart([] {
              StopSource stop;
              const auto watcher = SignalWatcher::Start(&stop);
              kill(getpid(), SIGTERM);
              stop.WaitFor(kPatience);
              return stop.reason() == StopReason::kTerminate ? 10 : 1;
            }),
            10);
  EXPECT_EQ(RunApart([] {
              StopSource stop;
              const auto watcher = SignalWatcher::Start(&stop);
              kill(getpid(), SIGINT);
              stop.WaitFor(kPatience);
              return stop.reason() == StopReason::kInterrupt ? 10 : 1;
            }),
            10);
}

TEST(SignalWatcherTest, EndsAtOnceOnASecondCtrlC) {
  EXPECT_EQ(RunApart([] {
              StopSource stop;
              const auto watcher = SignalWatcher::Start(&stop);
              kill(getpid(), SIGINT);
              stop.WaitFor(kPatience);
              kill(getpid(), SIGINT);
              while (true) pause();
              return 1;
            }),
            130);
}

TEST(SignalWatcherTest, IgnoresBrokenPipes) {
  EXPECT_EQ(RunApart([] {
              StopSource stop;
              const auto watcher = SignalWatcher::Start(&stop);
              kill(getpid(), SIGPIPE);
              return stop.requested() ? 1 : 10;
            }),
            10);
}

TEST(SignalWatcherTest, GivesSignalsBackToAChild) {
  EXPECT_EQ(RunApart([] {
              StopSource stop;
              const auto watcher = SignalWatcher::Start(&stop);
              const pid_t child = fork();
              if (child == 0) {
                RestoreSignals();
                kill(getpid(), SIGTERM);
                _exit(1);
              }
              int status = 0;
              waitpid(child, &status, 0);
              return WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM ? 10 : 1;
            }),
            10);
}

}  // namespace
}  // namespace shardmill
