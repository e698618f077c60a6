#include "common/net/peer_transport.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "common/net/endpoint.h"
#include "common/net/local_socket.h"
#include "tests/common/net/taken.h"

namespace shardmill {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

constexpr char kAnyPort[] = "tcp://127.0.0.1:*";
constexpr uint64_t kMiB = uint64_t{1} << 20;

// Polls until it holds, or for ten seconds.
void PollUntil(Transport& transport, Inbox& received, const std::function<bool()>& holds) {
  const auto deadline = Clock::now() + std::chrono::seconds(10);
  while (!holds() && Clock::now() < deadline) {
    ASSERT_TRUE(transport.Poll(milliseconds(5), received).ok());
  }
  ASSERT_TRUE(holds());
}

Taken PollOne(Transport& transport) {
  Inbox received;
  PollUntil(transport, received, [&] { return !received.empty(); });
  return received.empty() ? Taken{} : TakeAll(received).front();
}

std::vector<Frame> Text(const std::string& text) {
  return {Frame::CopyOf(std::as_bytes(std::span(text.data(), text.size())))};
}

std::string TextOf(std::span<const Frame> frames) {
  const auto bytes = frames[0].bytes();
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// One agent: its memory and its transport.
struct Agent {
  explicit Agent(const PeerOptions& options = {},
                 FramePool::Memory memory = FramePool::Memory::kShared)
      : pool(memory), transport(context, pool, options) {}

  ZmqContext context{1};
  FramePool pool;
  PeerTransport transport;
};

class PeerTransportTest : public testing::Test {
 protected:
  PeerId Meet(const std::string& bind = kAnyPort) {
    endpoint_ = server_->transport.Bind(bind).value();
    return client_->transport.Connect(endpoint_).value();
  }

  // Asks and answers. Returns the server's number of the client.
  PeerId Talk(PeerId to_server) {
    EXPECT_EQ(client_->transport.Send(to_server, Text("ask")), Sent::kSent);
    const Taken asked = PollOne(server_->transport);
    EXPECT_EQ(TextOf(asked.frames), "ask");
    EXPECT_EQ(server_->transport.Send(asked.peer, Text("answer")), Sent::kSent);
    const Taken answered = PollOne(client_->transport);
    EXPECT_EQ(TextOf(answered.frames), "answer");
    EXPECT_EQ(answered.peer, to_server);
    return asked.peer;
  }

  void RemakeServer(const PeerOptions& options = {}) {
    server_.reset();
    server_ = std::make_unique<Agent>(options);
  }

  std::unique_ptr<Agent> server_ = std::make_unique<Agent>();
  std::unique_ptr<Agent> client_ = std::make_unique<Agent>();
  std::string endpoint_;
};

TEST(EndpointTest, IsReadAsItIsWritten) {
  EXPECT_EQ(Endpoint::Parse("tcp://a:1").tcp, "tcp://a:1");
  EXPECT_EQ(Endpoint::Parse("tcp://a:1").local, "");
  const Endpoint both = Endpoint::Parse("tcp://a:1;local=12ab");
  EXPECT_EQ(both.tcp, "tcp://a:1");
  EXPECT_EQ(both.local, "12ab");
  EXPECT_EQ(both.Text(), "tcp://a:1;local=12ab");
  EXPECT_EQ((Endpoint{"tcp://a:1", ""}.Text()), "tcp://a:1");
}

TEST_F(PeerTransportTest, MeetsPeersOnItsHostInSharedMemory) {
  const PeerId to_server = Meet();
  EXPECT_TRUE(endpoint_.starts_with("tcp://127.0.0.1:"));
  EXPECT_NE(endpoint_.find(";local="), std::string::npos);
  EXPECT_EQ(client_->transport.reach().shared_memory, 1U);
  Talk(to_server);
  EXPECT_EQ(server_->transport.reach().shared_memory, 1U);
  EXPECT_TRUE(client_->transport.IsInMemory(to_server));
  EXPECT_EQ(client_->transport.Trouble(to_server), "");
}

TEST_F(PeerTransportTest, MeetsOthersOverZeroMq) {
  const Endpoint both = Endpoint::Parse(server_->transport.Bind(kAnyPort).value());
  for (const std::string& endpoint : {both.tcp, both.tcp + ";local=0123456789abcdef"}) {
    const PeerId to_server = client_->transport.Connect(endpoint).value();
    Talk(to_server);
    EXPECT_EQ(client_->transport.reach().shared_memory, 0U);
    EXPECT_FALSE(client_->transport.IsInMemory(to_server));
  }
}

TEST_F(PeerTransportTest, SharesNoMemoryWhereEitherSideDoesNotWantIt) {
  client_ = std::make_unique<Agent>(PeerOptions{.shared_memory = false});
  Talk(Meet());
  EXPECT_EQ(client_->transport.reach().shared_memory, 0U);
  RemakeServer({.shared_memory = false});
  client_ = std::make_unique<Agent>();
  Talk(Meet());
  EXPECT_EQ(endpoint_.find(";local="), std::string::npos);
  EXPECT_EQ(client_->transport.reach().shared_memory, 0U);
}

TEST_F(PeerTransportTest, NumbersPeersApartWhicheverWayTheyCome) {
  const PeerId to_server = Meet();
  const PeerId in_memory = Talk(to_server);
  const PeerId over_tcp = client_->transport.Connect(Endpoint::Parse(endpoint_).tcp).value();
  EXPECT_NE(over_tcp, to_server);
  EXPECT_NE(Talk(over_tcp), in_memory);
  EXPECT_EQ(Talk(to_server), in_memory);
}

TEST_F(PeerTransportTest, GoesOverZeroMqUnderTheSameNumberOnceALinkHasEnded) {
  const PeerId to_server = Meet();
  Talk(to_server);
  const std::string tcp = Endpoint::Parse(endpoint_).tcp;
  RemakeServer();
  ASSERT_TRUE(server_->transport.Bind(tcp).ok());
  Inbox received;
  PollUntil(client_->transport, received,
            [&] { return client_->transport.reach().shared_memory == 0; });
  Talk(to_server);
  Talk(to_server);
  client_->transport.Disconnect(to_server);
  EXPECT_EQ(client_->transport.Send(to_server, Text("x")), Sent::kUnknown);
}

TEST_F(PeerTransportTest, SaysThatACallerHasGoneAndTakesWhatItSaidBefore) {
  const PeerId to_server = Meet();
  const PeerId caller = Talk(to_server);
  ASSERT_EQ(client_->transport.Send(to_server, Text("last words")), Sent::kSent);
  client_.reset();
  EXPECT_EQ(TextOf(PollOne(server_->transport).frames), "last words");
  Inbox received;
  PollUntil(server_->transport, received,
            [&] { return server_->transport.reach().shared_memory == 0; });
  EXPECT_EQ(server_->transport.Send(caller, Text("x")), Sent::kUnknown);
}

TEST_F(PeerTransportTest, LetsGoOfWhatWasLentWhenTheReaderHasDone) {
  const PeerId to_server = Meet();
  const Frame body = client_->pool.CopyOf(std::vector<std::byte>(kMiB));
  ASSERT_EQ(client_->transport.Send(to_server, std::vector{Frame(), body}), Sent::kSent);
  Taken held = PollOne(server_->transport);
  EXPECT_FALSE(body.Unique());
  held.frames.clear();
  Inbox received;
  ASSERT_TRUE(server_->transport.Poll(milliseconds(0), received).ok());
  ASSERT_TRUE(client_->transport.Poll(milliseconds(0), received).ok());
  EXPECT_TRUE(body.Unique());
}

TEST_F(PeerTransportTest, KeepsWhatWasLentAfterADisconnectUntilTheReaderHasDone) {
  const PeerId to_server = Meet();
  const Frame body = client_->pool.CopyOf(std::vector<std::byte>(kMiB));
  ASSERT_EQ(client_->transport.Send(to_server, std::vector{Frame(), body}), Sent::kSent);
  Taken held = PollOne(server_->transport);
  client_->transport.Disconnect(to_server);
  EXPECT_EQ(client_->transport.Send(to_server, Text("x")), Sent::kUnknown);
  Inbox received;
  PollUntil(server_->transport, received,
            [&] { return server_->transport.reach().shared_memory == 0; });
  ASSERT_TRUE(client_->transport.Poll(milliseconds(1), received).ok());
  EXPECT_FALSE(body.Unique());
  held.frames.clear();
  PollUntil(client_->transport, received, [&] { return body.Unique(); });
}

// As where the system gives no more files: what is lent must not be written while it is read.
TEST_F(PeerTransportTest, KeepsWhatWasLentToOneWhoGivesUpUntilTheReaderHasDone) {
  client_ = std::make_unique<Agent>(PeerOptions{}, FramePool::Memory::kPrivate);
  const PeerId to_server = Meet();
  const PeerId caller = Talk(to_server);
  const Frame body = server_->pool.CopyOf(std::vector<std::byte>(kMiB));
  ASSERT_EQ(server_->transport.Send(caller, std::vector{Frame(), body}), Sent::kSent);
  Taken held = PollOne(client_->transport);
  const Frame large = client_->pool.CopyOf(std::vector<std::byte>(kMiB));
  ASSERT_EQ(client_->transport.Send(to_server, std::vector{Frame(), large}), Sent::kUnknown);
  Inbox received;
  PollUntil(server_->transport, received,
            [&] { return server_->transport.reach().shared_memory == 0; });
  ASSERT_TRUE(client_->transport.Poll(milliseconds(1), received).ok());
  ASSERT_TRUE(server_->transport.Poll(milliseconds(1), received).ok());
  EXPECT_FALSE(body.Unique());
  Talk(to_server);
  held.frames.clear();
  PollUntil(server_->transport, received, [&] { return body.Unique(); });
  EXPECT_TRUE(received.empty());
}

TEST_F(PeerTransportTest, CountsItsPeersByTheWayThatReachesThem) {
  const PeerId to_server = Meet();
  Talk(to_server);
  const PeerId over_tcp = client_->transport.Connect(Endpoint::Parse(endpoint_).tcp).value();
  Talk(over_tcp);
  Inbox received;
  const auto is = [&](const Agent& agent, size_t shared_memory, size_t tcp) {
    const Reach reach = agent.transport.reach();
    return reach.shared_memory == shared_memory && reach.tcp == tcp;
  };
  PollUntil(server_->transport, received, [&] { return is(*server_, 1, 1); });
  PollUntil(client_->transport, received, [&] { return is(*client_, 1, 1); });
  client_->transport.Disconnect(over_tcp);
  PollUntil(server_->transport, received, [&] { return is(*server_, 1, 0); });
  EXPECT_TRUE(is(*client_, 1, 0));
  client_.reset();
  PollUntil(server_->transport, received, [&] { return is(*server_, 0, 0); });
}

TEST_F(PeerTransportTest, DoesNotWaitForWhoConnectsAndDoesNotGreet) {
  endpoint_ = server_->transport.Bind(kAnyPort).value();
  const FileDescriptor stranger = ConnectLocal(Endpoint::Parse(endpoint_).local);
  ASSERT_TRUE(stranger.valid());
  Inbox received;
  size_t most = 0;
  PollUntil(server_->transport, received, [&] {
    most = std::max(most, server_->transport.reach().shared_memory);
    Packet packet;
    FileDescriptor file;
    return ReceivePacket(stranger.get(), packet, file) == Passed::kGone;
  });
  EXPECT_EQ(most, 0U);
}

TEST_F(PeerTransportTest, ForgetsWhoWasSilentLongest) {
  PeerOptions options;
  options.zmq.peers_max = 2;
  RemakeServer(options);
  endpoint_ = server_->transport.Bind(kAnyPort).value();
  std::vector<PeerId> to_server;
  std::vector<PeerId> callers;
  for (int i = 0; i < 3; ++i) {
    to_server.push_back(client_->transport.Connect(endpoint_).value());
    callers.push_back(Talk(to_server.back()));
  }
  EXPECT_EQ(server_->transport.Send(callers[0], Text("x")), Sent::kUnknown);
  EXPECT_EQ(server_->transport.reach().shared_memory, 2U);
  // Who was forgotten is served over ZeroMQ.
  Inbox received;
  PollUntil(client_->transport, received,
            [&] { return client_->transport.reach().shared_memory == 2; });
  EXPECT_NE(Talk(to_server[0]), callers[0]);
  EXPECT_EQ(Talk(to_server[2]), callers[2]);
}

// A sleeper that is not woken would sleep for a minute.
TEST_F(PeerTransportTest, WakesWhoSleepsAtOnce) {
  const PeerId to_server = Meet();
  const PeerId caller = Talk(to_server);
  const auto begin = Clock::now();
  constexpr int kRounds = 200;
  std::thread server([&] {
    for (int i = 0; i < kRounds; ++i) {
      Inbox received;
      while (received.empty()) {
        ASSERT_TRUE(server_->transport.Poll(std::chrono::minutes(1), received).ok());
      }
      ASSERT_EQ(server_->transport.Send(caller, received[0].frames), Sent::kSent);
    }
  });
  for (int i = 0; i < kRounds; ++i) {
    ASSERT_EQ(client_->transport.Send(to_server, Text(std::to_string(i))), Sent::kSent);
    Inbox received;
    while (received.empty()) {
      ASSERT_TRUE(client_->transport.Poll(std::chrono::minutes(1), received).ok());
    }
    ASSERT_EQ(TextOf(received[0].frames), std::to_string(i));
  }
  server.join();
  EXPECT_LT(Clock::now() - begin, std::chrono::seconds(30));
}

TEST_F(PeerTransportTest, HearsZeroMqWhileRingsAreBusy) {
  const PeerId to_server = Meet();
  const PeerId over_tcp = client_->transport.Connect(Endpoint::Parse(endpoint_).tcp).value();
  ASSERT_EQ(client_->transport.Send(over_tcp, Text("tcp")), Sent::kSent);
  Inbox received;
  PollUntil(server_->transport, received, [&] {
    EXPECT_EQ(client_->transport.Send(to_server, Text("ring")), Sent::kSent);
    bool heard = false;
    for (size_t i = 0; i < received.size(); ++i) heard |= TextOf(received[i].frames) == "tcp";
    return heard;
  });
}

// Echoes what comes until it is told to end. Frames go on a thread of their own.
void Echo(Agent& agent, milliseconds wait) {
  Inbox received;
  while (true) {
    ASSERT_TRUE(agent.transport.Poll(wait, received).ok());
    std::vector<Taken> messages = TakeAll(received);
    for (const Taken& message : messages) {
      if (message.frames.size() == 1) return;
      while (agent.transport.Send(message.peer, message.frames) == Sent::kFull) {
        Inbox none;
        ASSERT_TRUE(agent.transport.Poll(milliseconds(0), none).ok());
        ASSERT_TRUE(none.empty());
      }
    }
    std::thread([gone = std::move(messages)]() mutable { gone.clear(); }).join();
  }
}

TEST_F(PeerTransportTest, CarriesBetweenThreadsWhetherItSpinsOrSleeps) {
  for (const int spin_us : {0, 200}) {
    const PeerOptions options{.spin = std::chrono::microseconds(spin_us)};
    RemakeServer(options);
    client_ = std::make_unique<Agent>(options);
    const PeerId to_server = Meet();
    std::thread server([&] { Echo(*server_, milliseconds(20)); });
    const Frame body = client_->pool.CopyOf(std::vector<std::byte>(kMiB, std::byte{7}));
    for (size_t i = 0; i < 300; ++i) {
      const std::vector<Frame> message{Text(std::to_string(i))[0], body.Slice(i, 100 * (i % 50))};
      ASSERT_EQ(client_->transport.Send(to_server, message), Sent::kSent);
      const Taken echo = PollOne(client_->transport);
      ASSERT_EQ(TextOf(echo.frames), std::to_string(i));
      ASSERT_TRUE(std::ranges::equal(echo.frames.at(1).bytes(), message[1].bytes()));
    }
    ASSERT_EQ(client_->transport.Send(to_server, Text("end")), Sent::kSent);
    server.join();
    Inbox received;
    PollUntil(client_->transport, received, [&] {
      EXPECT_TRUE(server_->transport.Poll(milliseconds(0), received).ok());
      return body.Unique();
    });
    EXPECT_EQ(client_->transport.reach().shared_memory, 1U);
  }
}

}  // namespace
}  // namespace shardmill
