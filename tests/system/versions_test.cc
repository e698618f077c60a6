// Processes of this version of the protocol, and peers of the next one and the one after it.
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "client/ps_client.h"
#include "common/clock.h"
#include "common/fresh_id.h"
#include "common/net/endpoint.h"
#include "common/net/messenger.h"
#include "common/net/zmq_transport.h"
#include "tests/system/servers.h"

namespace shardmill {
namespace {

using std::chrono::milliseconds;

constexpr std::chrono::seconds kPatience{60};
constexpr uint32_t kOurs = kProtocolVersionMax;

bool Says(const std::string& text, const std::string& words) {
  return text.find(words) != std::string::npos;
}

std::string Range(uint32_t min, uint32_t max) {
  return std::to_string(min) + " to " + std::to_string(max);
}

// What a process that is not of our version speaks with.
struct Other {
  Other(uint32_t min, uint32_t max)
      : messenger(transport, frames, {.version_min = min, .version_max = max}) {}

  ZmqContext context{1};
  ZmqTransport transport{context, {}};
  FramePool frames{FramePool::Memory::kPrivate};
  Messenger messenger;
  std::vector<Envelope> messages;
  std::vector<BadPacket> bad;
};

// Comes in as a worker, until all shards have said welcome, or it has failed.
std::optional<Error> Join(Other& other, const std::string& coordinator) {
  PsClientOptions options;
  options.boot = BootId{FreshId()};
  options.coordinator = other.transport.Connect("tcp://" + coordinator).value();
  PsClient client(options, other.frames);
  const SteadyClock clock;
  const TimePoint end = clock.Now() + kPatience;
  Outbox outbox;
  while (!client.Ready() && !client.failure() && clock.Now() < end) {
    client.Tick(clock.Now(), outbox);
    other.messenger.Send(outbox);
    other.messages.clear();
    EXPECT_TRUE(other.messenger.Poll(milliseconds(20), other.messages, other.bad).ok());
    for (const Envelope& message : other.messages) {
      if (const auto* welcome = std::get_if<Welcome>(&message.message)) {
        EXPECT_EQ(welcome->version, kOurs);
      }
      client.Handle(clock.Now(), message, outbox);
    }
    for (const ShardPlace& place : client.Unattached()) {
      const std::string endpoint = Endpoint::Parse(place.endpoint).tcp;
      client.Attach(place.id, other.transport.Connect(endpoint).value());
    }
  }
  EXPECT_TRUE(client.Ready() || client.failure()) << client.WaitsFor();
  EXPECT_TRUE(other.bad.empty());
  return client.failure();
}

// The exit code of a process that takes it for its coordinator.
int CodeOf(Other& other, const std::string& program, const std::string& place) {
  const std::string endpoint = other.transport.Bind("tcp://127.0.0.1:*").value();
  const auto process = Launch(
      "process", program, {WriteJob(1), "--set", "cluster.coordinator=" + endpoint, place, "0"});
  const SteadyClock clock;
  const TimePoint end = clock.Now() + kPatience;
  while (clock.Now() < end) {
    EXPECT_TRUE(other.messenger.Poll(milliseconds(20), other.messages, other.bad).ok());
    if (const auto status = process->Poll()) return status->code;
  }
  return -1;
}

TEST(VersionsTest, AWorkerOfTheNextVersionTakesPartInOurs) {
  const Servers servers({"policy.mode=sync"}, 1);
  Other worker(kOurs, kOurs + 1);
  const std::optional<Error> failure = Join(worker, servers.address());
  EXPECT_FALSE(failure) << failure->message;
}

TEST(VersionsTest, AWorkerThatHasForgottenOurVersionIsRefusedInWords) {
  const Servers servers({"policy.mode=sync"}, 1);
  Other worker(kOurs + 1, kOurs + 2);
  const std::optional<Error> failure = Join(worker, servers.address());
  ASSERT_TRUE(failure);
  EXPECT_EQ(failure->code, ErrorCode::kBadUsage);
  const std::string words = "no protocol version in common: " + Range(kOurs + 1, kOurs + 2) +
                            " greets " + Range(kProtocolVersionMin, kOurs);
  EXPECT_EQ(failure->message, "the coordinator: " + words);
  EXPECT_TRUE(Await([&] { return Says(OutputOf("coordinator"), words); }));
}

TEST(VersionsTest, ProcessesOfAVersionThatTheCoordinatorHasForgottenEndWithWords) {
  for (const auto& [program, place] : {std::pair{"server/shardmill-ps", "--index"},
                                       std::pair{"worker/shardmill-worker", "--rank"}}) {
    Other coordinator(kOurs + 1, kOurs + 2);
    EXPECT_EQ(CodeOf(coordinator, program, place), 2) << program;
    const std::string said = OutputOf("process");
    const std::string words =
        Range(kProtocolVersionMin, kOurs) + " greets " + Range(kOurs + 1, kOurs + 2);
    EXPECT_TRUE(Says(said, words)) << said;
  }
}

}  // namespace
}  // namespace shardmill
