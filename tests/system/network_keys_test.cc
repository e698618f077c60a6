// Keys of [network] that daemons obey, each with a peer that shows it
// (tests/common/job/key_coverage.txt).
#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "common/clock.h"
#include "common/http/http_client.h"
#include "common/net/messenger.h"
#include "common/net/zmq_transport.h"
#include "tests/system/launch.h"

namespace shardmill {
namespace {

constexpr std::chrono::milliseconds kPatience{60000};
using Arguments = std::vector<std::string>;

Arguments Sets(const std::vector<std::string>& settings) {
  Arguments arguments;
  for (const std::string& set : settings) arguments.insert(arguments.end(), {"--set", set});
  return arguments;
}

// A job of one worker and one shard, whose gradient of 144 kB goes in nine units. The server takes
// messages of 64 KiB; the worker does not know, and would send all units at once.
class NarrowServer final {
 public:
  NarrowServer() : job_(WriteJob(1)) {
    coordinator_ =
        Start("coordinator", "server/shardmill-coordinator", {"--listen", "127.0.0.1:0"});
    settings_.push_back("cluster.coordinator=" + coordinator_.where.address);
    Arguments narrow = Sets({"network.message_bytes=64KiB"});
    narrow.insert(narrow.end(), {"--index", "0"});
    server_ = Start("server", "server/shardmill-ps", std::move(narrow));
  }

  // Trains with one setting more. Returns the exit code.
  int Train(const std::string& name, const std::string& setting) const {
    Arguments arguments = Sets({setting});
    arguments.insert(arguments.end(), {"--rank", "0"});
    const Daemon worker = Start(name, "worker/shardmill-worker", std::move(arguments));
    const auto status = worker.process->Wait(kPatience);
    EXPECT_TRUE(status) << OutputOf(name);
    return status && status->signal == 0 ? status->code : -1;
  }

  // Packets that the server did not take.
  uint64_t BadPackets() const {
    const auto text = HttpGetBody(server_.where.http, "/metrics", kPatience);
    EXPECT_TRUE(text.ok()) << text.error().message;
    std::istringstream lines(text.ok() ? text.value() : "");
    for (std::string line; std::getline(lines, line);) {
      if (!line.starts_with("shardmill_bad_packets_total")) continue;
      return std::stoull(line.substr(line.rfind(' ')));
    }
    ADD_FAILURE() << "no count of bad packets";
    return 0;
  }

 private:
  Daemon Start(const std::string& name, const std::string& program, Arguments arguments) const {
    arguments.insert(arguments.begin(), job_);
    const Arguments common = Sets(settings_);
    arguments.insert(arguments.begin() + 1, common.begin(), common.end());
    return LaunchDaemon(name, program, std::move(arguments));
  }

  std::string job_;
  std::vector<std::string> settings_{
      "cluster.workers=1", "cluster.shards_per_server=1", "network.unit_bytes=16KiB",
      "network.step_timeout=2s",
      "model.layers=[{type='flatten'},{type='affine',units=1000},{type='affine',units=4}]"};
  Daemon coordinator_;
  Daemon server_;
};

TEST(NetworkKeysTest, MessageBytesBoundWhatAServerTakesIn) {
  const NarrowServer job;
  EXPECT_EQ(job.Train("worker", "network.window_bytes=64MiB"), 4);
  EXPECT_NE(OutputOf("worker").find("waiting for shard 0"), std::string::npos)
      << OutputOf("worker");
  EXPECT_GT(job.BadPackets(), 0U);
}

TEST(NetworkKeysTest, WindowBytesBoundWhatAWorkerSendsAtOnce) {
  const NarrowServer job;
  EXPECT_EQ(job.Train("worker", "network.window_bytes=16KiB"), 0) << OutputOf("worker");
  EXPECT_EQ(job.BadPackets(), 0U);
}

// Listens in the coordinator's place, and never answers.
class MuteCoordinator final {
 public:
  MuteCoordinator() : context_(1), transport_(context_, {}), messenger_(transport_, frames_, {}) {
    const auto endpoint = transport_.Bind("tcp://127.0.0.1:*");
    EXPECT_TRUE(endpoint.ok()) << endpoint.error().message;
    if (endpoint.ok()) endpoint_ = endpoint.value();
  }

  const std::string& endpoint() const { return endpoint_; }

  // How long it takes from the first greeting until it has been said `repeats` times more.
  Duration TimeOfGreetings(uint64_t repeats) {
    const SteadyClock clock;
    const TimePoint end = clock.Now() + kPatience;
    TimePoint first{};
    uint64_t greetings = 0;
    std::vector<Envelope> messages;
    std::vector<BadPacket> bad;
    while (greetings <= repeats && clock.Now() < end) {
      messages.clear();
      EXPECT_TRUE(messenger_.Poll(std::chrono::milliseconds(20), messages, bad).ok());
      for (const Envelope& message : messages) {
        if (!std::holds_alternative<Hello>(message.message)) continue;
        if (greetings++ == 0) first = clock.Now();
      }
    }
    EXPECT_GT(greetings, repeats) << "it was not greeted often enough";
    return clock.Now() - first;
  }

 private:
  ZmqContext context_;
  ZmqTransport transport_;
  FramePool frames_{FramePool::Memory::kPrivate};
  Messenger messenger_;
  std::string endpoint_;
};

// By the key's default, half a second, forty repeats would take twenty seconds.
TEST(NetworkKeysTest, RetryAfterSaysHowSoonAnUnansweredRequestGoesAgain) {
  for (const auto& [program, which] : {std::pair{"server/shardmill-ps", "--index"},
                                       std::pair{"worker/shardmill-worker", "--rank"}}) {
    MuteCoordinator coordinator;
    Arguments arguments = Sets({"cluster.coordinator=" + coordinator.endpoint(),
                                "network.retry_after=20ms", "cluster.shards_per_server=1"});
    arguments.insert(arguments.begin(), WriteJob(1));
    arguments.insert(arguments.end(), {which, "0"});
    const Daemon daemon = LaunchDaemon("daemon", program, std::move(arguments));
    EXPECT_LT(coordinator.TimeOfGreetings(40), std::chrono::seconds(10)) << program;
  }
}

}  // namespace
}  // namespace shardmill
