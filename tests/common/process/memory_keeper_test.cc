#include "common/process/memory_keeper.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <optional>
#include <thread>

namespace shardmill {
namespace {

using std::chrono::steady_clock;
constexpr size_t kBytes = size_t{512} << 20;

// A process with 512 MiB of small pages and one end of a connection, kept or not.
class Victim final {
 public:
  explicit Victim(bool kept) {
    std::array<int, 2> ends{};
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends.data()), 0);
    pid_ = fork();
    if (pid_ == 0) {
      close(ends[0]);
      Live(ends[1], kept);
    }
    close(ends[1]);
    end_ = ends[0];
    EXPECT_EQ(read(end_, &keeper_, sizeof keeper_), ssize_t{sizeof keeper_});
  }
  ~Victim() {
    close(end_);
    if (pid_ < 0) return;
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  Victim(const Victim&) = delete;
  Victim& operator=(const Victim&) = delete;

  // How long its peer takes to notice that it was killed.
  std::chrono::duration<double> NoticedAfter() {
    const auto began = steady_clock::now();
    kill(pid_, SIGKILL);
    char byte = 0;
    EXPECT_EQ(read(end_, &byte, 1), 0);
    const auto took = steady_clock::now() - began;
    waitpid(pid_, nullptr, 0);
    pid_ = -1;
    return took;
  }
  pid_t keeper() const { return keeper_; }

 private:
  [[noreturn]] static void Live(int end, bool kept) {
    std::optional<MemoryKeeper> keeper;
    if (kept) keeper.emplace();
    void* mapped =
        mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    madvise(mapped, kBytes, MADV_NOHUGEPAGE);
    madvise(mapped, kBytes, MADV_POPULATE_WRITE);
    const pid_t pid = keeper ? keeper->pid() : -1;
    if (write(end, &pid, sizeof pid) != ssize_t{sizeof pid}) _exit(1);
    while (true) pause();
  }

  pid_t pid_ = -1;
  pid_t keeper_ = -1;
  int end_ = -1;
};

TEST(MemoryKeeperTest, PeersLearnOfADeathBeforeItsMemoryIsTakenBack) {
  ASSERT_EQ(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), 0);  // It is ours once it has no parent.
  double with = 1e9;
  double without = 1e9;
  for (int i = 0; i < 3; ++i) {
    without = std::min(without, Victim(false).NoticedAfter().count());
    Victim kept(true);
    ASSERT_GT(kept.keeper(), 0);
    with = std::min(with, kept.NoticedAfter().count());
    EXPECT_EQ(waitpid(kept.keeper(), nullptr, __WALL), kept.keeper());
  }
  EXPECT_LT(with, without / 3);
}

TEST(MemoryKeeperTest, NeitherSignalsNorGroupsOfTheParentReachIt) {
  const MemoryKeeper keeper;
  ASSERT_GT(keeper.pid(), 0);
  kill(keeper.pid(), SIGTERM);
  while (getpgid(keeper.pid()) == getpgrp()) std::this_thread::yield();
  EXPECT_EQ(kill(keeper.pid(), 0), 0);
}

TEST(MemoryKeeperTest, GoesWithItsOwner) {
  pid_t pid = -1;
  {
    const MemoryKeeper keeper;
    pid = keeper.pid();
    ASSERT_GT(pid, 0);
  }
  EXPECT_NE(kill(pid, 0), 0);
}

}  // namespace
}  // namespace shardmill
