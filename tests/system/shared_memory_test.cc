// Workers and servers on one host: whether they meet in shared memory, and whether that changes
// anything but speed.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "client/session.h"
#include "tests/system/launch.h"
#include "tests/system/servers.h"

namespace shardmill {
namespace {

constexpr std::chrono::seconds kPatience{60};
constexpr uint64_t kFloats = 1 << 20;

// Rings that the server shares with others.
size_t RingsOf(const Servers& servers) {
  std::ifstream maps("/proc/" + std::to_string(servers.server_pid()) + "/maps");
  size_t rings = 0;
  for (std::string line; std::getline(maps, line);) {
    rings += line.find("memfd:shardmill-rings") == std::string::npos ? 0 : 1;
  }
  return rings;
}

// Processor time that the server has used, in clock ticks.
uint64_t TicksOf(const Servers& servers) {
  std::ifstream file("/proc/" + std::to_string(servers.server_pid()) + "/stat");
  std::stringstream text;
  text << file.rdbuf();
  // The name, which may have blanks, ends with the last bracket; the times are 14th and 15th.
  std::istringstream fields(text.str().substr(text.str().rfind(')') + 1));
  std::string skipped;
  for (int i = 3; i < 14; ++i) fields >> skipped;
  uint64_t user = 0;
  uint64_t system = 0;
  fields >> user >> system;
  return user + system;
}

// Trains two steps of a dense and a sparse table, and returns what stands there.
std::vector<float> Train(Session& session) {
  const auto dense = session.Dense("dense", kFloats);
  const auto sparse = session.Sparse("sparse", 16);
  EXPECT_TRUE(dense.ok() && sparse.ok());
  std::vector<uint64_t> keys(5000);
  for (size_t i = 0; i < keys.size(); ++i) keys[i] = 77 * i;
  const auto bound = session.Bind(sparse.value(), keys);
  EXPECT_TRUE(bound.ok());
  std::vector<float> gradient(kFloats);
  for (size_t i = 0; i < kFloats; ++i) gradient[i] = static_cast<float>(i % 1000);
  const std::span<const float> rows = std::span(gradient).first(keys.size() * 16);
  for (int round = 0; round < 2; ++round) {
    auto step = session.Begin(kPatience);
    EXPECT_TRUE(step.ok());
    EXPECT_TRUE(step.value().Push(dense.value(), 0, gradient).ok());
    EXPECT_TRUE(step.value().Push(bound.value(), rows).ok());
    const auto finished = step.value().Finish(1);
    EXPECT_TRUE(finished.ok()) << finished.error().message;
  }
  auto step = session.Begin(kPatience);
  std::vector<float> values(kFloats + rows.size());
  const auto first = step.value().Pull(dense.value(), 0, std::span(values).first(kFloats));
  const auto second = step.value().Pull(bound.value(), std::span(values).subspan(kFloats));
  EXPECT_TRUE(first.ok() && second.ok());
  EXPECT_TRUE(step.value().Wait(first.value()).ok());
  EXPECT_TRUE(step.value().Wait(second.value()).ok());
  return values;
}

TEST(SharedMemoryTest, IsUsedWhereBothSidesWantIt) {
  std::vector<std::vector<float>> results;
  for (const bool server_wants : {false, true}) {
    for (const bool worker_wants : {false, true}) {
      const Servers servers(
          {std::string("network.shared_memory=") + (server_wants ? "true" : "false")}, 1);
      SessionOptions options = servers.OptionsOf(0);
      options.shared_memory = worker_wants;
      const auto session = Session::Open(options);
      ASSERT_TRUE(session.ok()) << session.error().message;
      results.push_back(Train(*session.value()));
      EXPECT_EQ(RingsOf(servers), server_wants && worker_wants ? 1U : 0U);
      EXPECT_TRUE(results.back() == results.front());
    }
  }
  EXPECT_EQ(results.front()[7], -14.0F);
}

// Whether a server's metrics have this line.
bool Says(const Servers& servers, const std::string& line) {
  return servers.Metrics().find("\n" + line + "\n") != std::string::npos;
}

double NumberOf(const Servers& servers, const std::string& metric) {
  const std::string text = servers.Metrics();
  const size_t at = text.find("\n" + metric + " ");
  return at == std::string::npos ? -1 : std::stod(text.substr(at + metric.size() + 2));
}

// Two workers train in step on one host: one of the server's user, and one of another.
TEST(SharedMemoryTest, IsRefusedToAnotherUserWhoTrainsOverTcp) {
  constexpr std::string_view kWhy =
      "this test needs root and setpriv, to start a process of another user";
  if (geteuid() != 0 || access("/usr/bin/setpriv", X_OK) != 0) GTEST_SKIP() << kWhy;
  const Servers servers({"train.epochs=100000"}, 2);
  const auto ours = Launch("ours", "worker/shardmill-worker", servers.WorkerArguments(0));
  const auto stranger =
      LaunchAsNobody("stranger", "worker/shardmill-worker", servers.WorkerArguments(1));
  // The coordinator is a peer over TCP too.
  EXPECT_TRUE(Await([&] {
    return (Says(servers, "shardmill_peers{shard=\"0\",via=\"shared_memory\"} 1") &&
            Says(servers, "shardmill_peers{shard=\"0\",via=\"tcp\"} 2")) ||
           stranger->Poll() || ours->Poll();
  })) << servers.Metrics()
      << OutputOf("stranger") << OutputOf("ours");
  EXPECT_EQ(RingsOf(servers), 1U);
  const std::string rounds = "shardmill_rounds_closed{shard=\"0\"}";
  const double before = NumberOf(servers, rounds);
  EXPECT_TRUE(Await([&] { return NumberOf(servers, rounds) > before + 100 || stranger->Poll(); }));
  EXPECT_FALSE(stranger->Poll() || ours->Poll()) << OutputOf("stranger") << OutputOf("ours");
  EXPECT_TRUE(Says(servers, "shardmill_peers{shard=\"0\",via=\"shared_memory\"} 1"));
  stranger->Kill();
  EXPECT_TRUE(Await([&] { return Says(servers, "shardmill_peers{shard=\"0\",via=\"tcp\"} 1"); }));
  ours->Kill();
  EXPECT_TRUE(
      Await([&] { return Says(servers, "shardmill_peers{shard=\"0\",via=\"shared_memory\"} 0"); }));
  EXPECT_EQ(RingsOf(servers), 0U);
}

// A shard holds all units of a step where they lie in the worker's memory.
TEST(SharedMemoryTest, StepsMayBeLargerThanAnyQueue) {
  const Servers servers({"network.queue_bytes=1MiB"}, 1);
  const auto session = Session::Open(servers.OptionsOf(0));
  ASSERT_TRUE(session.ok()) << session.error().message;
  constexpr uint64_t kMany = uint64_t{75} << 20;  // Over 256 MiB of them.
  const auto table = session.value()->Dense("large", kMany);
  ASSERT_TRUE(table.ok()) << table.error().message;
  const std::vector<float> gradient(kMany, -1);
  {
    auto step = session.value()->Begin(kPatience);
    ASSERT_TRUE(step.ok());
    ASSERT_TRUE(step.value().Push(table.value(), 0, gradient).ok());
    const auto finished = step.value().Finish(1);
    ASSERT_TRUE(finished.ok()) << finished.error().message;
  }
  auto step = session.value()->Begin(kPatience);
  std::vector<float> last(1000);
  const auto pull = step.value().Pull(table.value(), kMany - last.size(), last);
  ASSERT_TRUE(pull.ok() && step.value().Wait(pull.value()).ok());
  EXPECT_TRUE(std::ranges::all_of(last, [](float value) { return value == 1; }));
}

TEST(SharedMemoryTest, SpinKeepsAProcessorBusyWhileThereArePeers) {
  const auto ticks = [](const std::string& spin) {
    const Servers servers({"network.spin=" + spin}, 1);
    const auto session = Session::Open(servers.OptionsOf(0));
    EXPECT_TRUE(session.ok()) << session.error().message;
    EXPECT_EQ(RingsOf(servers), 1U);
    const uint64_t before = TicksOf(servers);
    std::this_thread::sleep_for(std::chrono::seconds(2));
    return TicksOf(servers) - before;
  };
  const uint64_t sleeping = ticks("0s");
  const uint64_t spinning = ticks("1s");
  EXPECT_GT(spinning, 30U);
  EXPECT_GT(spinning, 3 * sleeping);
}

}  // namespace
}  // namespace shardmill
