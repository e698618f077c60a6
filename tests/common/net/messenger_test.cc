#include "common/net/messenger.h"

#include <gtest/gtest.h>

#include <array>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace shardmill {
namespace {

// Keeps what is sent, and hands in what a test puts there.
class FakeTransport final : public Transport {
 public:
  Result<std::string> Bind(const std::string& endpoint) override { return endpoint; }
  Result<PeerId> Connect(const std::string&) override { return PeerId{1}; }
  void Disconnect(PeerId) override {}
  Sent Send(PeerId peer, std::span<const Frame> frames) override {
    if (answer == Sent::kSent) sent.push_back({peer, {frames.begin(), frames.end()}});
    return answer;
  }
  Result<> Poll(std::chrono::milliseconds, Inbox& inbox) override {
    for (const Kept& message : incoming) {
      inbox.Begin(message.peer);
      for (const Frame& frame : message.frames) inbox.Add(frame);
    }
    incoming.clear();
    return {};
  }
  std::string Trouble(PeerId) const override { return ""; }
  Reach reach() const override { return {}; }

  struct Kept {
    PeerId peer;
    std::vector<Frame> frames;
  };

  FramePool pool{FramePool::Memory::kPrivate};
  Sent answer = Sent::kSent;
  std::vector<Kept> sent;
  std::vector<Kept> incoming;
};

Outgoing PulledOf(uint64_t peer, uint64_t number, std::vector<Frame> values) {
  Pulled pulled;
  pulled.pull = number;
  pulled.values = FrameList(values);
  return {PeerId{peer}, Stamp{}, std::move(pulled)};
}

// What came over after all was sent, in order.
std::vector<uint64_t> Loop(FakeTransport& transport, Messenger& messenger) {
  transport.incoming = transport.sent;
  std::vector<Envelope> messages;
  std::vector<BadPacket> bad;
  EXPECT_TRUE(messenger.Poll(std::chrono::milliseconds(0), messages, bad).ok());
  EXPECT_TRUE(bad.empty());
  std::vector<uint64_t> numbers;
  for (const Envelope& envelope : messages) {
    numbers.push_back(std::get<Pulled>(envelope.message).pull);
  }
  return numbers;
}

// A process that speaks those versions of the protocol, and has one peer.
struct Speaker {
  Speaker(uint32_t min, uint32_t max)
      : messenger(transport, transport.pool, {.version_min = min, .version_max = max}) {}

  // In which version it is said.
  int Say(Message message) {
    Outbox outbox{{PeerId{1}, Stamp{{}, {}, {}, BootId{7}, {}}, std::move(message)}};
    messenger.Send(outbox);
    return std::to_integer<int>(transport.sent.back().frames.front().bytes()[4]);
  }

  // The last message of what the other has said since it was last heard.
  std::optional<Envelope> Hear(Speaker& other) {
    transport.incoming = std::exchange(other.transport.sent, {});
    std::vector<Envelope> messages;
    std::vector<BadPacket> bad;
    EXPECT_TRUE(messenger.Poll(std::chrono::milliseconds(0), messages, bad).ok());
    if (!bad.empty()) trouble = bad.back().why.message;
    if (messages.empty()) return {};
    return std::move(messages.back());
  }

  FakeTransport transport;
  Messenger messenger;
  std::string trouble;
};

TEST(MessengerTest, SpeaksTheHighestVersionThatBothHave) {
  struct Meeting {
    Speaker caller;
    Speaker listener;
    int version;
  };
  for (auto& [caller, listener, version] : std::array<Meeting, 5>{{{{1, 2}, {1, 2}, 2},
                                                                   {{1, 2}, {1, 1}, 1},
                                                                   {{1, 1}, {1, 2}, 1},
                                                                   {{2, 3}, {1, 2}, 2},
                                                                   {{1, 2}, {2, 3}, 2}}}) {
    EXPECT_EQ(caller.Say(Hello{}), 1);
    ASSERT_TRUE(listener.Hear(caller)) << listener.trouble;
    EXPECT_EQ(listener.Say(Welcome{}), version);
    const auto welcome = caller.Hear(listener);
    ASSERT_TRUE(welcome) << caller.trouble;
    EXPECT_EQ(std::get<Welcome>(welcome->message).version, version);
    EXPECT_EQ(caller.Say(GetView{}), version);
    ASSERT_TRUE(listener.Hear(caller)) << listener.trouble;
    EXPECT_EQ(listener.Say(Renewed{}), version);
    EXPECT_EQ(caller.Say(Hello{}), 1);
  }
}

TEST(MessengerTest, RefusesWhoHasNoVersionInCommon) {
  for (const bool newer : {false, true}) {
    Speaker caller(newer ? 3 : 1, newer ? 4 : 2);
    Speaker listener(newer ? 1 : 3, newer ? 2 : 4);
    caller.Say(Hello{});
    EXPECT_FALSE(listener.Hear(caller));
    const std::string words = newer ? "no protocol version in common: 3 to 4 greets 1 to 2"
                                    : "no protocol version in common: 1 to 2 greets 3 to 4";
    EXPECT_EQ(listener.trouble, words);
    const auto answer = caller.Hear(listener);
    ASSERT_TRUE(answer) << caller.trouble;
    EXPECT_EQ(answer->stamp.to, BootId{7});
    EXPECT_EQ(std::get<Refused>(answer->message).code, Refusal::kVersion);
    EXPECT_EQ(std::get<Refused>(answer->message).words, words);
  }
}

// As after a new start of the listener, whom nobody greets.
TEST(MessengerTest, AnswersInTheVersionThatItIsSpokenTo) {
  Speaker listener(1, 2);
  for (const int version : {2, 1}) {
    Speaker caller(static_cast<uint32_t>(version), static_cast<uint32_t>(version));
    EXPECT_EQ(caller.Say(GetView{}), version);
    ASSERT_TRUE(listener.Hear(caller)) << listener.trouble;
    EXPECT_EQ(listener.Say(Renewed{}), version);
  }
}

TEST(MessengerTest, TakesNothingButGreetingsInAVersionThatItDoesNotSpeak) {
  Speaker old(1, 1);
  Speaker young(2, 3);
  old.Say(GetView{});
  EXPECT_FALSE(young.Hear(old));
  EXPECT_EQ(young.trouble, "the peer speaks protocol version 1; this build speaks 2 to 3");
  young.Say(GetView{});
  EXPECT_FALSE(old.Hear(young));
  EXPECT_EQ(old.trouble, "the peer speaks protocol version 2; this build speaks 1 to 1");
}

TEST(MessengerTest, GroupsWhatGoesToOnePeerAndKeepsOrder) {
  FakeTransport transport;
  Messenger messenger(transport, transport.pool, {});
  Outbox outbox = {PulledOf(1, 1, {}), PulledOf(1, 2, {}), PulledOf(2, 3, {}), PulledOf(1, 4, {})};
  messenger.Send(outbox);
  EXPECT_TRUE(outbox.empty());
  ASSERT_EQ(transport.sent.size(), 3u);
  EXPECT_EQ(transport.sent[1].peer, PeerId{2});
  EXPECT_EQ(Loop(transport, messenger), (std::vector<uint64_t>{1, 2, 3, 4}));
  EXPECT_EQ(messenger.counters().sent, 4u);
  EXPECT_EQ(messenger.counters().received, 4u);
}

TEST(MessengerTest, NeverMakesAGroupThatTheReceiverWouldRefuse) {
  FakeTransport transport;
  Messenger messenger(transport, transport.pool, {.message_bytes_max = 4096, .messages_max = 8});
  const Frame half = Buffer::OfBytes(2048).Close();
  Outbox outbox;
  for (uint64_t i = 0; i < 5; ++i) outbox.push_back(PulledOf(1, i, {half}));
  for (uint64_t i = 5; i < 30; ++i) outbox.push_back(PulledOf(1, i, {}));
  messenger.Send(outbox);
  EXPECT_EQ(transport.sent.size(), 6u);
  EXPECT_EQ(Loop(transport, messenger).size(), 30u);
}

TEST(MessengerTest, CountsTheKeysOfWhatItGroups) {
  FakeTransport transport;
  Messenger messenger(transport, transport.pool, {.message_bytes_max = 4096});
  const Frame keys = Frame::CopyOf(std::vector<uint64_t>(256, 7));
  Outbox outbox;
  for (uint64_t i = 0; i < 4; ++i) {
    Pull pull;
    pull.pull = i;
    pull.keys = {1, keys};
    outbox.push_back({PeerId{1}, Stamp{}, std::move(pull)});
  }
  Unit unit;
  unit.gradient = Buffer::OfFloats(512).Close();
  unit.keys = {1, keys};
  outbox.push_back({PeerId{1}, Stamp{}, unit});
  messenger.Send(outbox);
  EXPECT_EQ(transport.sent.size(), 3U);
  transport.incoming = transport.sent;
  std::vector<Envelope> messages;
  std::vector<BadPacket> bad;
  ASSERT_TRUE(messenger.Poll(std::chrono::milliseconds(0), messages, bad).ok());
  EXPECT_EQ(messages.size(), 5U);
  EXPECT_TRUE(bad.empty());
}

TEST(MessengerTest, BoundsTheFramesOfAGroup) {
  FakeTransport transport;
  Messenger messenger(transport, transport.pool, {});
  Outbox outbox;
  for (uint64_t i = 0; i < 10; ++i) {
    outbox.push_back(PulledOf(1, i, std::vector<Frame>(300, Buffer::OfBytes(4).Close())));
  }
  messenger.Send(outbox);
  EXPECT_EQ(transport.sent.size(), 4u);
  for (const auto& each : transport.sent) EXPECT_LE(each.frames.size(), 1025u);
  EXPECT_EQ(Loop(transport, messenger).size(), 10u);
}

TEST(MessengerTest, BoundsTheFramesOfWhatGoesToAReplica) {
  FakeTransport transport;
  Messenger messenger(transport, transport.pool, {});
  const Frame frame = Buffer::OfFloats(1).Close();
  Outbox outbox;
  for (uint64_t i = 0; i < 50; ++i) {
    Entry entry{i + 1, {}, {{TableId{1}, 1, std::vector<EntryPart>(100, {0, 1, frame})}}};
    outbox.push_back({PeerId{1}, Stamp{}, Follow{ShardId{0}, 1, 2 * i, std::move(entry)}});
    const CopyPiece rows{TableId{2},
                         RowBatch{Frame::CopyOf(std::vector<uint64_t>{i}), frame, frame}};
    outbox.push_back({PeerId{1}, Stamp{}, Follow{ShardId{0}, 1, 2 * i + 1, rows}});
  }
  messenger.Send(outbox);
  for (const auto& each : transport.sent) EXPECT_LE(each.frames.size(), 1025U);
  transport.incoming = transport.sent;
  std::vector<Envelope> messages;
  std::vector<BadPacket> bad;
  ASSERT_TRUE(messenger.Poll(std::chrono::milliseconds(0), messages, bad).ok());
  EXPECT_EQ(messages.size(), 100U);
  EXPECT_TRUE(bad.empty());
}

TEST(MessengerTest, DropsAndCountsWhatCannotGo) {
  FakeTransport transport;
  Messenger messenger(transport, transport.pool, {});
  transport.answer = Sent::kFull;
  Outbox outbox = {PulledOf(1, 1, {}), PulledOf(1, 2, {})};
  messenger.Send(outbox);
  transport.answer = Sent::kUnknown;
  outbox = {PulledOf(1, 1, {})};
  messenger.Send(outbox);
  EXPECT_TRUE(outbox.empty());
  EXPECT_EQ(messenger.counters().dropped_full, 2u);
  EXPECT_EQ(messenger.counters().dropped_unknown, 1u);
  EXPECT_EQ(messenger.counters().sent, 0u);
}

TEST(MessengerTest, HandsOnWhatCannotBeReadWithItsPeer) {
  FakeTransport transport;
  Messenger messenger(transport, transport.pool, {});
  transport.incoming.push_back({PeerId{9}, {Buffer::OfBytes(3).Close()}});
  std::vector<Envelope> messages;
  std::vector<BadPacket> bad;
  ASSERT_TRUE(messenger.Poll(std::chrono::milliseconds(0), messages, bad).ok());
  EXPECT_TRUE(messages.empty());
  ASSERT_EQ(bad.size(), 1u);
  EXPECT_EQ(bad[0].peer, PeerId{9});
  EXPECT_FALSE(bad[0].why.message.empty());
  EXPECT_EQ(messenger.counters().bad_packets, 1u);
}

}  // namespace
}  // namespace shardmill
