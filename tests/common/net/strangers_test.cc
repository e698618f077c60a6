#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <vector>

#include "common/net/messenger.h"
#include "common/net/zmq_transport.h"
#include "common/rng.h"
#include "tests/common/net/tcp.h"
#include "tests/common/wire/codec.h"

namespace shardmill {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

constexpr uint64_t kSeed = 31337;

std::string RandomText(Rng& rng, uint64_t size) {
  std::string text(size, '\0');
  for (char& c : text) c = static_cast<char>(rng.Below(256));
  return text;
}

Frame FrameOf(const std::string& text) {
  return Frame::CopyOf(std::as_bytes(std::span(text.data(), text.size())));
}

// What is said of the link to `endpoint` once `words` stand in it, or after ten seconds.
std::string TroubleWith(const std::string& endpoint, const std::string& words) {
  ZmqContext context(1);
  ZmqTransport transport(context, ZmqOptions{.linger_ms = 0});
  const PeerId peer = transport.Connect(endpoint).value();
  Inbox received;
  const auto deadline = Clock::now() + std::chrono::seconds(10);
  while (Clock::now() < deadline && transport.Trouble(peer).find(words) == std::string::npos) {
    EXPECT_TRUE(transport.Poll(milliseconds(5), received).ok());
  }
  EXPECT_TRUE(received.empty());
  return transport.Trouble(peer);
}

// A ping through a bound side: it works still.
void ExpectServes(ZmqContext& context, ZmqTransport& server, const std::string& endpoint) {
  ZmqTransport client(context, ZmqOptions{});
  FramePool frames(FramePool::Memory::kPrivate);
  Messenger ask(client, frames, {});
  Messenger serve(server, frames, {});
  Outbox outbox = {{client.Connect(endpoint).value(), Stamp{JobId{1}, {}, {}, {}, {}}, Hello{}}};
  ask.Send(outbox);
  std::vector<Envelope> asked;
  std::vector<BadPacket> bad;
  const auto deadline = Clock::now() + std::chrono::seconds(10);
  while (asked.empty() && Clock::now() < deadline) {
    ASSERT_TRUE(serve.Poll(milliseconds(5), asked, bad).ok());
  }
  ASSERT_EQ(asked.size(), 1u);
  for (const BadPacket& each : bad) EXPECT_FALSE(each.why.message.empty());
  outbox = {{asked[0].peer, asked[0].stamp, Welcome{}}};
  serve.Send(outbox);
  std::vector<Envelope> answered;
  while (answered.empty() && Clock::now() < deadline) {
    ASSERT_TRUE(ask.Poll(milliseconds(5), answered, bad).ok());
  }
  ASSERT_EQ(answered.size(), 1u);
  EXPECT_TRUE(std::holds_alternative<Welcome>(answered[0].message));
}

TEST(StrangersTest, SaysThatNothingAnswers) {
  EXPECT_EQ(TroubleWith("tcp://127.0.0.1:1", "nothing answers"),
            "nothing answers at tcp://127.0.0.1:1");
}

TEST(StrangersTest, SaysThatAHostCannotBeFound) {
  // Names under "invalid" belong to nobody.
  EXPECT_EQ(TroubleWith("tcp://shardmill.invalid:7700", "cannot be found"),
            "the host in tcp://shardmill.invalid:7700 cannot be found");
}

TEST(StrangersTest, TellsAStrangerFromAPeer) {
  for (const auto manner :
       {TcpListener::Manner::kAnswersAndHangsUp, TcpListener::Manner::kHangsUp}) {
    TcpListener stranger(manner);
    const std::string trouble = TroubleWith(stranger.endpoint(), "does not speak");
    EXPECT_NE(trouble.find("does not speak this protocol"), std::string::npos) << trouble;
    EXPECT_NE(trouble.find(stranger.endpoint()), std::string::npos) << trouble;
  }
}

TEST(StrangersTest, SaysThatSomethingListensAndKeepsSilent) {
  TcpListener stranger(TcpListener::Manner::kSaysNothing);
  const std::string trouble = TroubleWith(stranger.endpoint(), "says nothing");
  EXPECT_NE(trouble.find("says nothing"), std::string::npos) << trouble;
}

TEST(StrangersTest, OutlivesGarbageOverTcp) {
  ZmqContext context(1);
  ZmqTransport server(context, ZmqOptions{});
  const std::string endpoint = server.Bind("tcp://127.0.0.1:*").value();
  Rng rng(kSeed);
  WriteTcp(endpoint, "");
  WriteTcp(endpoint, "GET / HTTP/1.1\r\nHost: shardmill\r\n\r\n");
  for (int i = 0; i < 200; ++i) {
    std::string bytes = RandomText(rng, rng.Below(2000));
    // Half of them begin as ZeroMQ does, to come further.
    if (i % 2 == 0) bytes = std::string("\xff\0\0\0\0\0\0\0\1\x7f\3", 11) + bytes;
    WriteTcp(endpoint, bytes);
  }
  ExpectServes(context, server, endpoint);
}

TEST(StrangersTest, CountsMultipartsThatAreNoMessages) {
  ZmqContext context(1);
  ZmqTransport server(context, ZmqOptions{});
  const std::string endpoint = server.Bind("tcp://127.0.0.1:*").value();
  ZmqTransport client(context, ZmqOptions{});
  const PeerId to_server = client.Connect(endpoint).value();
  Rng rng(kSeed);
  constexpr uint64_t kPackets = 500;
  for (uint64_t i = 0; i < kPackets; ++i) {
    std::vector<Frame> frames;
    for (uint64_t part = 1 + rng.Below(5); part > 0; --part) {
      frames.push_back(FrameOf(RandomText(rng, rng.Below(3000))));
    }
    ASSERT_EQ(client.Send(to_server, frames), Sent::kSent);
  }
  FramePool frames(FramePool::Memory::kPrivate);
  Messenger messenger(server, frames, {});
  std::vector<Envelope> messages;
  std::vector<BadPacket> bad;
  const auto deadline = Clock::now() + std::chrono::seconds(10);
  while (bad.size() < kPackets && Clock::now() < deadline) {
    ASSERT_TRUE(messenger.Poll(milliseconds(5), messages, bad).ok());
  }
  EXPECT_EQ(messenger.counters().bad_packets, kPackets);
  EXPECT_TRUE(messages.empty());
  ExpectServes(context, server, endpoint);
}

TEST(StrangersTest, DropsWhatIsOverItsLimitsCountsItAndServesOn) {
  ZmqContext context(1);
  constexpr uint64_t kPayloadMax = 1 << 16;
  ZmqTransport server(context, ZmqOptions{.message_bytes_max = kPayloadMax, .frames_max = 16});
  const std::string endpoint = server.Bind("tcp://127.0.0.1:*").value();
  ZmqTransport client(context, ZmqOptions{.linger_ms = 0});
  const PeerId many = client.Connect(endpoint).value();
  ASSERT_EQ(client.Send(many, std::vector<Frame>(1000, FrameOf("x"))), Sent::kSent);
  const PeerId large = client.Connect(endpoint).value();
  const Frame too_large = Buffer::OfBytes(kPayloadMax + (8 << 20) + 1).Close();
  ASSERT_EQ(client.Send(large, std::vector<Frame>{too_large}), Sent::kSent);
  // A header may be longer than the payload that is taken.
  const Frame header = Buffer::OfBytes(2 * kPayloadMax).Close();
  ASSERT_EQ(client.Send(many, std::vector<Frame>{header, FrameOf("y")}), Sent::kSent);
  Inbox received;
  const auto deadline = Clock::now() + std::chrono::seconds(10);
  while (received.size() < 2 && Clock::now() < deadline) {
    ASSERT_TRUE(server.Poll(milliseconds(5), received).ok());
  }
  ASSERT_EQ(received.size(), 2u);
  EXPECT_TRUE(received[0].frames.empty());
  EXPECT_FALSE(Decode(received[0].frames, {}).ok());
  ASSERT_EQ(received[1].frames.size(), 2u);
  EXPECT_EQ(received[1].frames[0].size(), header.size());
  client.Disconnect(large);
  ExpectServes(context, server, endpoint);
}

}  // namespace
}  // namespace shardmill
