// Keys of [network] and [cluster] that say what daemons ask of the kernel
// (tests/common/job/key_coverage.txt).
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "client/session.h"
#include "common/process/file_descriptor.h"
#include "tests/system/servers.h"

namespace shardmill {
namespace {

namespace fs = std::filesystem;

// What the kernel does for one end of a TCP connection.
struct Tuned {
  std::string control;
  int send_buffer = 0;
  int receive_buffer = 0;
};

template <class Value>
Value OptionOf(int file, int level, int name) {
  Value value{};
  socklen_t size = sizeof(value);
  EXPECT_EQ(getsockopt(file, level, name, &value, &size), 0);
  return value;
}

std::optional<Tuned> TunedOf(int file) {
  sockaddr_storage peer{};
  socklen_t size = sizeof(peer);
  if (getpeername(file, reinterpret_cast<sockaddr*>(&peer), &size) != 0) return {};
  if (peer.ss_family != AF_INET && peer.ss_family != AF_INET6) return {};
  return Tuned{OptionOf<std::array<char, 16>>(file, IPPROTO_TCP, TCP_CONGESTION).data(),
               OptionOf<int>(file, SOL_SOCKET, SO_SNDBUF),
               OptionOf<int>(file, SOL_SOCKET, SO_RCVBUF)};
}

// The connections of a process that this one has started.
std::vector<Tuned> ConnectionsOf(int pid) {
  const FileDescriptor process(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  std::vector<Tuned> connections;
  for (const auto& entry : fs::directory_iterator("/proc/" + std::to_string(pid) + "/fd")) {
    const int theirs = std::stoi(entry.path().filename().string());
    const FileDescriptor file(static_cast<int>(syscall(SYS_pidfd_getfd, process.get(), theirs, 0)));
    EXPECT_TRUE(file.valid());
    const std::optional<Tuned> tuned = TunedOf(file.get());
    if (tuned) connections.push_back(*tuned);
  }
  return connections;
}

// A server of the settings, one worker of the same, and a step between them over TCP.
class Exchange final {
 public:
  explicit Exchange(const std::vector<std::string>& settings, const SessionOptions& tuning = {})
      : servers_(settings, 1) {
    SessionOptions options = servers_.OptionsOf(0);
    options.shared_memory = false;
    options.congestion_control = tuning.congestion_control;
    options.send_buffer = tuning.send_buffer;
    auto session = Session::Open(options);
    EXPECT_TRUE(session.ok()) << session.error().message;
    if (!session.ok()) return;
    session_ = std::move(session).value();
    const auto table = session_->Dense("w", 4);
    auto step = session_->Begin(std::chrono::minutes(1));
    EXPECT_TRUE(table.ok() && step.ok());
    std::vector<float> values(4);
    EXPECT_TRUE(step.value().Pull(table.value(), 0, values).ok());
    EXPECT_TRUE(step.value().Finish(1).ok());
  }

  int server() const { return servers_.server_pid(); }

 private:
  Servers servers_;
  std::unique_ptr<Session> session_;
};

TEST(TuningTest, CongestionControlIsThatOfEveryConnectionOfAServer) {
  const Exchange exchange({"network.congestion_control=reno"});
  const std::vector<Tuned> connections = ConnectionsOf(exchange.server());
  EXPECT_GE(connections.size(), 2U);  // To the coordinator, and from the worker.
  for (const Tuned& tuned : connections) EXPECT_EQ(tuned.control, "reno");
}

TEST(TuningTest, CongestionControlOfASessionIsItsOwn) {
  const Exchange exchange({}, {.congestion_control = "reno", .send_buffer = 99 << 10});
  const std::vector<Tuned> connections = ConnectionsOf(getpid());
  EXPECT_TRUE(std::ranges::any_of(connections, [](const Tuned& tuned) {
    return tuned.control == "reno" && tuned.send_buffer == 2 * (99 << 10);
  }));
}

TEST(TuningTest, ControlThatTheKernelDoesNotHaveIsNamed) {
  const auto server =
      Launch("server", "server/shardmill-ps",
             {WriteJob(1), "--index", "0", "--set", "network.congestion_control=nosuch"});
  EXPECT_EQ(server->Wait(std::chrono::minutes(1)), (ExitStatus{2, 0}));
  EXPECT_NE(OutputOf("server").find("network.congestion_control is \"nosuch\""), std::string::npos)
      << OutputOf("server");
}

// The kernel doubles what it is asked for, to have room for its own books.
TEST(TuningTest, BuffersAreThoseOfEveryConnection) {
  const Exchange exchange({"network.send_buffer=96KiB", "network.receive_buffer=160KiB"});
  const std::vector<Tuned> connections = ConnectionsOf(exchange.server());
  EXPECT_GE(connections.size(), 2U);
  for (const Tuned& tuned : connections) {
    EXPECT_EQ(tuned.send_buffer, 2 * (96 << 10));
    EXPECT_EQ(tuned.receive_buffer, 2 * (160 << 10));
  }
}

// How many threads of the process may run on the one processor alone.
size_t ThreadsOn(int pid, const std::string& cpu) {
  size_t threads = 0;
  for (const auto& task : fs::directory_iterator("/proc/" + std::to_string(pid) + "/task")) {
    std::ifstream status(task.path() / "status");
    for (std::string line; std::getline(status, line);) {
      if (line == "Cpus_allowed_list:\t" + cpu) ++threads;
    }
  }
  return threads;
}

class AffinityTest : public testing::Test {
 protected:
  void SetUp() override {
    cpu_set_t allowed;
    CPU_ZERO(&allowed);
    ASSERT_EQ(sched_getaffinity(0, sizeof(allowed), &allowed), 0);
    if (CPU_COUNT(&allowed) < 2) GTEST_SKIP() << "needs two processors to tell one from all";
    for (int cpu = CPU_SETSIZE - 1; cpu >= 0; --cpu) {
      if (CPU_ISSET(cpu, &allowed)) cpu_ = std::to_string(cpu);
    }
  }

  std::string cpu_;  // The first that there is.
};

TEST_F(AffinityTest, IoCpusAreWhereBytesAreMoved) {
  const Exchange anywhere({});
  EXPECT_EQ(ThreadsOn(anywhere.server(), cpu_), 0U);
  const Exchange one({"network.io_cpus=" + cpu_, "network.io_threads=3"});
  EXPECT_GE(ThreadsOn(one.server(), cpu_), 3U);
}

TEST_F(AffinityTest, ShardCpusAreWhereShardsRun) {
  const Exchange one({"cluster.shard_cpus=" + cpu_});
  EXPECT_EQ(ThreadsOn(one.server(), cpu_), 1U);
}

TEST_F(AffinityTest, ProcessorThatThereIsNotIsNamed) {
  const auto server = Launch("server", "server/shardmill-ps",
                             {WriteJob(1), "--index", "0", "--set", "cluster.shard_cpus=1023"});
  EXPECT_EQ(server->Wait(std::chrono::minutes(1)), (ExitStatus{2, 0}));
  EXPECT_NE(OutputOf("server").find("cluster.shard_cpus has processor 1023"), std::string::npos)
      << OutputOf("server");
}

}  // namespace
}  // namespace shardmill
