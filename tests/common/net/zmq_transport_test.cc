#include "common/net/zmq_transport.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <string>
#include <variant>
#include <vector>

#include "common/net/messenger.h"
#include "tests/common/wire/random_packet.h"

namespace shardmill {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

constexpr uint64_t kSeed = 4711;
constexpr char kAnyPort[] = "tcp://127.0.0.1:*";

// Polls until `enough`, or for ten seconds.
Inbox PollUntil(Transport& transport, const std::function<bool(const Inbox&)>& enough) {
  Inbox received;
  const auto deadline = Clock::now() + std::chrono::seconds(10);
  while (!enough(received) && Clock::now() < deadline) {
    EXPECT_TRUE(transport.Poll(milliseconds(5), received).ok());
  }
  EXPECT_TRUE(enough(received));
  return received;
}

Inbox PollFor(Transport& transport, size_t count) {
  return PollUntil(transport, [count](const auto& received) { return received.size() >= count; });
}

std::vector<Frame> Text(const std::string& text) {
  return {Frame::CopyOf(std::as_bytes(std::span(text.data(), text.size())))};
}

std::string TextOf(const Received& received) {
  const auto bytes = received.frames[0].bytes();
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

class ZmqTransportTest : public testing::Test {
 protected:
  // Binds the server and connects the client to it.
  PeerId Meet() {
    endpoint_ = server_.Bind(kAnyPort).value();
    return client_.Connect(endpoint_).value();
  }

  ZmqContext context_{1};
  ZmqTransport server_{context_, ZmqOptions{}};
  ZmqTransport client_{context_, ZmqOptions{}};
  std::string endpoint_;
};

TEST_F(ZmqTransportTest, TellsThePortThatItTook) {
  Meet();
  EXPECT_TRUE(endpoint_.starts_with("tcp://127.0.0.1:"));
  EXPECT_EQ(endpoint_.find('*'), std::string::npos);
}

TEST_F(ZmqTransportTest, CarriesMessagesBothWays) {
  const PeerId to_server = Meet();
  ASSERT_EQ(client_.Send(to_server, Text("ask")), Sent::kSent);
  const auto asked = PollFor(server_, 1);
  EXPECT_EQ(TextOf(asked[0]), "ask");
  ASSERT_EQ(server_.Send(asked[0].peer, Text("answer")), Sent::kSent);
  const auto answered = PollFor(client_, 1);
  EXPECT_EQ(TextOf(answered[0]), "answer");
  EXPECT_EQ(answered[0].peer, to_server);
  EXPECT_EQ(client_.Trouble(to_server), "");
}

TEST_F(ZmqTransportTest, KeepsOrderAndBoundaries) {
  const PeerId to_server = Meet();
  constexpr size_t kMessages = 3000;
  for (size_t i = 0; i < kMessages; ++i) {
    std::vector<Frame> frames = Text(std::to_string(i));
    frames.resize(1 + i % 4);
    ASSERT_EQ(client_.Send(to_server, frames), Sent::kSent);
  }
  const auto received = PollFor(server_, kMessages);
  ASSERT_EQ(received.size(), kMessages);
  for (size_t i = 0; i < kMessages; ++i) {
    ASSERT_EQ(TextOf(received[i]), std::to_string(i));
    ASSERT_EQ(received[i].frames.size(), 1 + i % 4);
  }
}

TEST_F(ZmqTransportTest, BringsEveryMessageOfTheProtocol) {
  const PeerId to_server = Meet();
  FramePool frames(FramePool::Memory::kPrivate);
  Messenger out(client_, frames, {});
  Messenger in(server_, frames, {});
  Rng rng(kSeed);
  constexpr size_t kRounds = 20;
  Outbox outbox;
  for (size_t i = 0; i < kRounds * std::variant_size_v<Message>; ++i) {
    Message message = RandomMessage(rng, i % std::variant_size_v<Message>);
    // Versions are the Messenger's own.
    if (auto* hello = std::get_if<Hello>(&message))
      *hello = {kProtocolVersionMin, kProtocolVersionMax, hello->role};
    if (auto* welcome = std::get_if<Welcome>(&message)) *welcome = {};
    outbox.push_back({to_server, Stamp{JobId{i}, {}, {}, {}, {}}, std::move(message)});
  }
  const Outbox sent = outbox;
  out.Send(outbox);
  std::vector<Envelope> received;
  std::vector<BadPacket> bad;
  const auto deadline = Clock::now() + std::chrono::seconds(10);
  while (received.size() < sent.size() && Clock::now() < deadline) {
    ASSERT_TRUE(in.Poll(milliseconds(5), received, bad).ok());
    ASSERT_TRUE(bad.empty()) << bad[0].why.message;
  }
  ASSERT_EQ(received.size(), sent.size());
  for (size_t i = 0; i < sent.size(); ++i) {
    EXPECT_EQ(received[i].stamp, sent[i].stamp);
    EXPECT_TRUE(Same(received[i].message, sent[i].message)) << "kind " << sent[i].message.index();
  }
}

TEST_F(ZmqTransportTest, CarriesLargePayloadAndLetsItGo) {
  const PeerId to_server = Meet();
  constexpr size_t kFloats = size_t{16} << 20;
  Buffer buffer = Buffer::OfFloats(kFloats);
  for (size_t i = 0; i < kFloats; ++i) buffer.floats()[i] = static_cast<float>(i % 1000);
  const Frame large = std::move(buffer).Close();
  ASSERT_EQ(client_.Send(to_server, std::vector<Frame>{large, large}), Sent::kSent);
  const auto received = PollFor(server_, 1);
  ASSERT_EQ(received[0].frames.size(), 2u);
  ASSERT_TRUE(received[0].frames[1].IsFloats());
  EXPECT_TRUE(std::ranges::equal(received[0].frames[1].floats(), large.floats()));
  // ZeroMQ gives its references back on its own thread.
  PollUntil(client_, [&large](const auto&) { return large.Unique(); });
}

TEST_F(ZmqTransportTest, NumbersPeersApartAndTheSameForAsLongAsTheyStay) {
  const PeerId first = Meet();
  const PeerId second = client_.Connect(endpoint_).value();
  EXPECT_NE(first, second);
  std::vector<PeerId> peers;
  for (const PeerId peer : {first, second, first, second}) {
    ASSERT_EQ(client_.Send(peer, Text("hello")), Sent::kSent);
    peers.push_back(PollFor(server_, 1)[0].peer);
  }
  EXPECT_NE(peers[0], peers[1]);
  EXPECT_EQ(peers[0], peers[2]);
  EXPECT_EQ(peers[1], peers[3]);
}

TEST_F(ZmqTransportTest, SaysThatAPeerHasGone) {
  const PeerId to_server = Meet();
  ASSERT_EQ(client_.Send(to_server, Text("hello")), Sent::kSent);
  const PeerId peer = PollFor(server_, 1)[0].peer;
  client_.Disconnect(to_server);
  EXPECT_EQ(client_.Send(to_server, Text("late")), Sent::kUnknown);
  EXPECT_EQ(server_.Send(PeerId{12345}, Text("whom")), Sent::kUnknown);
  PollUntil(server_, [this, peer](const auto&) {
    return server_.Send(peer, Text("there?")) == Sent::kUnknown;
  });
}

TEST_F(ZmqTransportTest, SaysWhichCallersConnectionHasEnded) {
  const PeerId to_server = Meet();
  ZmqTransport other(context_, ZmqOptions{});
  const PeerId from_other = other.Connect(endpoint_).value();
  client_.Send(to_server, Text("one"));
  const PeerId client = PollFor(server_, 1)[0].peer;
  other.Send(from_other, Text("two"));
  EXPECT_TRUE(PollFor(server_, 1).gone().empty());
  client_.Disconnect(to_server);
  const Inbox inbox = PollUntil(server_, [](const Inbox& in) { return !in.gone().empty(); });
  ASSERT_EQ(inbox.gone().size(), 1U);
  EXPECT_EQ(inbox.gone().front(), client);
}

// What it said last comes with the news.
TEST_F(ZmqTransportTest, SaysThatACallerHasGoneWhoseMessageCameLater) {
  const PeerId to_server = Meet();
  client_.Send(to_server, Text("one"));
  client_.Disconnect(to_server);
  const Inbox inbox = PollUntil(server_, [](const Inbox& in) { return !in.gone().empty(); });
  ASSERT_EQ(inbox.size(), 1U);
  EXPECT_EQ(inbox.gone().front(), inbox[0].peer);
}

TEST_F(ZmqTransportTest, SaysFullAndKeepsNothing) {
  ZmqOptions options;
  options.queue_messages_max = 4;
  options.linger_ms = 0;
  ZmqTransport sender(context_, options);
  const PeerId nobody = sender.Connect("tcp://127.0.0.1:1").value();
  const std::vector<Frame> frames = {Buffer::OfBytes(1 << 16).Close(), Frame()};
  int sent = 0;
  while (sent < 100 && sender.Send(nobody, frames) == Sent::kSent) ++sent;
  EXPECT_EQ(sent, 4);
  EXPECT_EQ(sender.Send(nobody, frames), Sent::kFull);
  sender.Disconnect(nobody);
  PollUntil(sender, [&frames](const auto&) { return frames[0].Unique(); });
}

TEST_F(ZmqTransportTest, ForgetsWhoWasSilentLongest) {
  ZmqOptions options;
  options.peers_max = 2;
  ZmqTransport small(context_, options);
  endpoint_ = small.Bind(kAnyPort).value();
  std::vector<PeerId> links;
  std::vector<PeerId> peers;
  for (int i = 0; i < 3; ++i) links.push_back(client_.Connect(endpoint_).value());
  for (const int i : {0, 1, 0, 2}) {
    ASSERT_EQ(client_.Send(links[static_cast<size_t>(i)], Text("hello")), Sent::kSent);
    peers.push_back(PollFor(small, 1)[0].peer);
  }
  EXPECT_EQ(small.Send(peers[0], Text("still here")), Sent::kSent);
  EXPECT_EQ(small.Send(peers[1], Text("forgotten")), Sent::kUnknown);
  EXPECT_EQ(small.Send(peers[3], Text("new")), Sent::kSent);
}

TEST_F(ZmqTransportTest, ReachesAServerThatComesLater) {
  endpoint_ = server_.Bind(kAnyPort).value();
  ZmqTransport late(context_, ZmqOptions{});
  const std::string endpoint = late.Bind(kAnyPort).value();
  const PeerId to_late = client_.Connect(endpoint).value();
  ASSERT_EQ(client_.Send(to_late, Text("early")), Sent::kSent);
  EXPECT_EQ(TextOf(PollFor(late, 1)[0]), "early");
}

TEST_F(ZmqTransportTest, SaysThatAPortIsInUse) {
  endpoint_ = server_.Bind(kAnyPort).value();
  ZmqTransport other(context_, ZmqOptions{});
  const auto bound = other.Bind(endpoint_);
  ASSERT_FALSE(bound.ok());
  EXPECT_EQ(bound.error().code, ErrorCode::kBadUsage);
  EXPECT_NE(bound.error().message.find(endpoint_ + ": the port is in use"), std::string::npos)
      << bound.error().message;
}

TEST_F(ZmqTransportTest, RefusesWhatIsNoAddress) {
  for (const char* endpoint : {"", "7700", "127.0.0.1:7700", "tcp://", "tcp://127.0.0.1",
                               "tcp://127.0.0.1:port", "smoke://127.0.0.1:7700"}) {
    const auto connected = client_.Connect(endpoint);
    ASSERT_FALSE(connected.ok()) << endpoint;
    EXPECT_EQ(connected.error().code, ErrorCode::kBadUsage) << endpoint;
    EXPECT_NE(connected.error().message.find("tcp://HOST:PORT"), std::string::npos)
        << endpoint << ": " << connected.error().message;
    const auto bound = server_.Bind(endpoint);
    ASSERT_FALSE(bound.ok()) << endpoint;
    EXPECT_EQ(bound.error().code, ErrorCode::kBadUsage) << endpoint;
  }
  const auto elsewhere = server_.Bind("tcp://192.0.2.1:*");
  ASSERT_FALSE(elsewhere.ok());
  EXPECT_NE(elsewhere.error().message.find("no such address"), std::string::npos)
      << elsewhere.error().message;
}

}  // namespace
}  // namespace shardmill
