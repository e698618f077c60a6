#include "common/wire/wire.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <sstream>
#include <string>
#include <variant>
#include <vector>

#include "tests/common/wire/codec.h"
#include "tests/common/wire/random_packet.h"

namespace shardmill {
namespace {

constexpr uint64_t kSeed = 20240611;

std::string Hex(const std::vector<Frame>& frames) {
  std::string text;
  for (const Frame& frame : frames) {
    for (const std::byte byte : frame.bytes()) {
      constexpr char kDigits[] = "0123456789abcdef";
      text += kDigits[std::to_integer<int>(byte) >> 4];
      text += kDigits[std::to_integer<int>(byte) & 15];
    }
    text += '\n';
  }
  return text;
}

std::string ReadFile(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

// Frames at addresses that no float may have, as a network may deliver them.
Frame Unaligned(const Frame& frame) {
  Buffer buffer = Buffer::OfBytes(frame.size() + 1);
  std::ranges::copy(frame.bytes(), buffer.bytes().begin() + 1);
  return std::move(buffer).Close().Slice(1, frame.size());
}

void ExpectSame(const Packet& packet, const Packet& other) {
  ASSERT_EQ(packet.messages.size(), other.messages.size());
  for (size_t i = 0; i < packet.messages.size(); ++i) {
    EXPECT_EQ(packet.messages[i].first, other.messages[i].first);
    EXPECT_TRUE(Same(packet.messages[i].second, other.messages[i].second))
        << "message " << i << " of kind " << packet.messages[i].second.index();
  }
}

// One message of each kind; changes when messages.h does.
Packet EveryKind() {
  Rng rng(23);
  Packet packet{.messages = {}, .version = 1};
  for (size_t kind = 0; kind < std::variant_size_v<Message>; ++kind) {
    const Stamp stamp{JobId{7}, Generation{1}, Term{kind % 2}, BootId{8}, BootId{9}};
    packet.messages.emplace_back(stamp, RandomMessage(rng, kind));
  }
  return packet;
}

TEST(WireTest, BringsBackEveryKindOfMessage) {
  Rng rng(kSeed);
  for (size_t kind = 0; kind < std::variant_size_v<Message>; ++kind) {
    for (int round = 0; round < 100; ++round) {
      Packet packet;
      packet.messages.emplace_back(
          Stamp{JobId{rng.Next()}, Generation{1}, Term{2}, BootId{rng.Next()}, BootId{rng.Next()}},
          RandomMessage(rng, kind));
      const auto decoded = Decode(Encode(packet), {});
      ASSERT_TRUE(decoded.ok()) << "kind " << kind << ": " << decoded.error().message;
      ExpectSame(packet, decoded.value());
    }
  }
}

TEST(WireTest, BringsBackManyMessagesInOrderUnderTheirStamps) {
  Rng rng(kSeed);
  for (int round = 0; round < 500; ++round) {
    const Packet packet = RandomPacket(rng);
    const auto decoded = Decode(Encode(packet), {});
    ASSERT_TRUE(decoded.ok()) << decoded.error().message;
    ExpectSame(packet, decoded.value());
  }
}

TEST(WireTest, ReadsPayloadThatLiesUnaligned) {
  Rng rng(kSeed);
  for (int round = 0; round < 200; ++round) {
    const Packet packet = RandomPacket(rng);
    std::vector<Frame> frames = Encode(packet);
    for (Frame& frame : frames) frame = Unaligned(frame);
    const auto decoded = Decode(frames, {});
    ASSERT_TRUE(decoded.ok()) << decoded.error().message;
    ExpectSame(packet, decoded.value());
    for (const auto& [stamp, message] : decoded.value().messages) {
      if (const auto* unit = std::get_if<Unit>(&message)) {
        EXPECT_TRUE(unit->gradient.IsFloats());
      }
    }
  }
}

TEST(WireTest, DoesNotCopyPayload) {
  Packet packet;
  Unit unit;
  unit.gradient = Frame::CopyOf(std::vector<float>(1 << 20, 1.5F));
  const std::byte* address = unit.gradient.bytes().data();
  packet.messages.emplace_back(Stamp{}, unit);
  const std::vector<Frame> frames = Encode(packet);
  ASSERT_EQ(frames.size(), 2u);
  EXPECT_EQ(frames[1].bytes().data(), address);
  const auto decoded = Decode(frames, {});
  ASSERT_TRUE(decoded.ok()) << decoded.error().message;
  EXPECT_EQ(std::get<Unit>(decoded.value().messages[0].second).gradient.bytes().data(), address);
}

TEST(WireTest, SendsOneStampOnce) {
  Packet packet;
  for (int i = 0; i < 100; ++i) {
    packet.messages.emplace_back(
        Stamp{JobId{~0ULL}, Generation{1}, Term{1}, BootId{~0ULL}, BootId{~0ULL}}, GetView{});
  }
  EXPECT_LT(Encode(packet)[0].size(), 100u * 12u);
}

// What version 1 is. A change that breaks this breaks every peer that has not changed with us:
// raise kProtocolVersionMax instead, and keep reading version 1.
TEST(WireTest, KeepsTheBytesOfVersionOne) {
  EXPECT_EQ(Hex(Encode(EveryKind())), ReadFile("tests/common/wire/version_1.hex"));
}

TEST(WireTest, ReadsTheBytesOfVersionOne) {
  std::istringstream lines(ReadFile("tests/common/wire/version_1.hex"));
  std::vector<Frame> frames;
  for (std::string line; std::getline(lines, line);) {
    Buffer buffer = Buffer::OfBytes(line.size() / 2);
    for (size_t i = 0; i < buffer.bytes().size(); ++i) {
      buffer.bytes()[i] = static_cast<std::byte>(std::stoi(line.substr(2 * i, 2), nullptr, 16));
    }
    frames.push_back(std::move(buffer).Close());
  }
  const auto decoded = Decode(frames, {});
  ASSERT_TRUE(decoded.ok()) << decoded.error().message;
  ExpectSame(EveryKind(), decoded.value());
}

}  // namespace
}  // namespace shardmill
