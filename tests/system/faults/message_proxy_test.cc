#include "tests/system/faults/message_proxy.h"

#include <gtest/gtest.h>

#include "common/net/zmq_transport.h"
#include "tests/system/faults/message_stream.h"

namespace shardmill::chaos {
namespace {

using std::chrono::milliseconds;

Frame FrameOf(const std::string& text) {
  return Frame::CopyOf(std::as_bytes(std::span(text.data(), text.size())));
}

std::string TextOf(const Frame& frame) {
  return {reinterpret_cast<const char*>(frame.bytes().data()), frame.size()};
}

// Somebody who listens, and somebody who calls through a proxy.
struct Pair {
  ZmqContext context{1};
  ZmqTransport called{context, {}};
  ZmqTransport caller{context, {}};
  MessageProxy proxy{1};
  PeerId peer;
  std::vector<std::vector<std::string>> came;  // Messages, each in its frames.

  explicit Pair(const Weather& weather) {
    proxy.Set([weather](const Route&) { return weather; });
    const std::string endpoint = called.Bind("tcp://127.0.0.1:*").value();
    const std::string address = proxy.Open(endpoint.substr(6), false).value();
    peer = caller.Connect("tcp://" + address).value();
  }

  void Send(int messages) {
    for (int i = 0; i < messages; ++i) {
      const Frame frames[] = {FrameOf(std::to_string(i)), FrameOf(std::string(70'000, 'x'))};
      EXPECT_EQ(caller.Send(peer, frames), Sent::kSent);
    }
  }

  void Receive(size_t messages) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (came.size() < messages && std::chrono::steady_clock::now() < end) {
      Inbox inbox;
      EXPECT_TRUE(caller.Poll(milliseconds(0), inbox).ok());
      inbox.Clear();
      EXPECT_TRUE(called.Poll(milliseconds(5), inbox).ok());
      for (size_t i = 0; i < inbox.size(); ++i) {
        std::vector<std::string>& message = came.emplace_back();
        for (const Frame& frame : inbox[i].frames) message.push_back(TextOf(frame));
      }
    }
  }
};

TEST(MessageStreamTest, KeepsTheFramesOfAMessageTogetherAndCommandsApart) {
  MessageStream stream;
  const std::string greeting(64, 'g');
  const std::string command("\4\3abc", 5);
  const std::string message("\1\1a\2\0\0\0\0\0\0\0\2bc", 14);
  const std::string all = greeting + command + message;
  std::string commands;
  std::vector<std::string> messages;
  for (const char byte : all) {
    stream.Add(std::span(&byte, 1));
    while (const auto unit = stream.Next()) {
      if (unit->message) messages.push_back(unit->bytes);
      if (!unit->message) commands += unit->bytes;
    }
  }
  EXPECT_EQ(commands, greeting + command);
  EXPECT_EQ(messages, std::vector<std::string>{message});
}

TEST(MessageProxyTest, PassesWholeMessagesOnInOrderWhereNothingIsWrong) {
  Pair pair({});
  pair.Send(50);
  pair.Receive(50);
  ASSERT_EQ(pair.came.size(), 50U);
  for (size_t i = 0; i < 50; ++i) {
    ASSERT_EQ(pair.came[i].size(), 2U);
    EXPECT_EQ(pair.came[i][0], std::to_string(i));
    EXPECT_EQ(pair.came[i][1], std::string(70'000, 'x'));
  }
}

TEST(MessageProxyTest, DoublesAndReordersWholeMessages) {
  Pair pair({.doubled = 1, .delayed = 0.5, .delay_max = milliseconds(30)});
  pair.Send(50);
  pair.Receive(100);
  ASSERT_EQ(pair.came.size(), 100U);
  std::map<std::string, int> times;
  bool out_of_order = false;
  for (size_t i = 0; i < pair.came.size(); ++i) {
    EXPECT_EQ(pair.came[i].size(), 2U);
    ++times[pair.came[i][0]];
    out_of_order |= i > 0 && std::stoi(pair.came[i][0]) < std::stoi(pair.came[i - 1][0]);
  }
  EXPECT_TRUE(out_of_order);
  EXPECT_EQ(times.size(), 50U);
  for (const auto& [name, count] : times) EXPECT_EQ(count, 2) << name;
}

TEST(MessageProxyTest, DropsSomeMessagesOrAllOfThem) {
  Pair pair({.dropped = 0.3});
  pair.Send(200);
  pair.Receive(100);
  const MessageProxy::Counts counts = pair.proxy.counts();
  EXPECT_GT(counts.dropped, 20U);
  EXPECT_LT(counts.dropped, 100U);
  EXPECT_GE(pair.came.size(), 100U);
}

TEST(MessageProxyTest, LetsNobodyInDuringACutAndEverybodyAfterIt) {
  Pair pair({.cut = true});
  pair.Send(1);
  pair.proxy.Set([](const Route&) { return Weather{}; });
  pair.Receive(1);
  EXPECT_EQ(pair.came.size(), 1U);
}

TEST(MessageProxyTest, EndsConnectionsWhichAreMadeAnew) {
  Pair pair({});
  pair.Send(1);
  pair.Receive(1);
  pair.proxy.Reset([](const Route&) { return true; });
  EXPECT_EQ(pair.proxy.counts().reset, 1U);
  // What is sent before the caller has noticed may be lost with the connection.
  for (int i = 0; i < 100 && pair.came.size() < 2; ++i) {
    Inbox inbox;
    EXPECT_TRUE(pair.caller.Poll(milliseconds(20), inbox).ok());
    pair.Send(1);
    EXPECT_TRUE(pair.called.Poll(milliseconds(20), inbox).ok());
    if (inbox.size() > 0) pair.came.emplace_back();
  }
  EXPECT_EQ(pair.came.size(), 2U);
}

}  // namespace
}  // namespace shardmill::chaos
