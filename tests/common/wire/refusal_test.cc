#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "common/wire/wire.h"
#include "proto/wire.pb.h"
#include "tests/common/wire/codec.h"
#include "tests/common/wire/random_packet.h"

namespace shardmill {
namespace {

constexpr uint64_t kSeed = 977;
constexpr size_t kPrefixBytes = 8;

Frame FrameOf(const std::string& text) {
  return Frame::CopyOf(std::as_bytes(std::span(text.data(), text.size())));
}

std::string TextOf(const Frame& frame) {
  return {reinterpret_cast<const char*>(frame.bytes().data()), frame.size()};
}

// Why a packet of one message is refused once `spoil` has changed it; empty if it is taken.
std::string WhyRefused(const Message& message, const std::function<void(wire::Packet&)>& spoil,
                       const WireLimits& limits = {}) {
  Packet packet;
  packet.messages.emplace_back(Stamp{}, message);
  std::vector<Frame> frames = Encode(packet);
  const std::string header = TextOf(frames[0]);
  wire::Packet parsed;
  EXPECT_TRUE(parsed.ParseFromString(header.substr(kPrefixBytes)));
  spoil(parsed);
  frames[0] = FrameOf(header.substr(0, kPrefixBytes) + parsed.SerializeAsString());
  const auto decoded = Decode(frames, limits);
  return decoded.ok() ? "" : decoded.error().message;
}

std::string WhyRefused(const Message& message, const WireLimits& limits = {}) {
  return WhyRefused(
      message, [](wire::Packet&) {}, limits);
}

bool Says(const std::string& text, const std::string& words) {
  return text.find(words) != std::string::npos;
}

View SmallView() {
  View view;
  view.members = {{WorkerId{0}, Incarnation{1}, 0}, {WorkerId{1}, Incarnation{1}, 0}};
  view.shards = {{ShardId{0}, Term{1}, BootId{2}, "tcp://a:1"},
                 {ShardId{1}, Term{1}, BootId{3}, "tcp://a:2"}};
  view.tables = {{TableId{1}, {"w", 10, {}}, {0, 5, 10}}};
  return view;
}

Unit SmallUnit() {
  Unit unit;
  unit.gradient = Frame::CopyOf(std::vector<float>{1, 2, 3});
  return unit;
}

TEST(RefusalTest, TakesASoundViewAndUnit) {
  EXPECT_EQ(WhyRefused(ViewIs{SmallView()}), "");
  EXPECT_EQ(WhyRefused(SmallUnit()), "");
}

TEST(RefusalTest, RefusesStrangersAndOtherVersions) {
  const auto why = [](const std::vector<Frame>& frames) {
    const auto decoded = Decode(frames, {});
    return decoded.ok() ? "" : decoded.error().message;
  };
  EXPECT_TRUE(Says(why({}), "without a header"));
  EXPECT_TRUE(Says(why({Frame()}), "no shardmill message"));
  EXPECT_TRUE(Says(why({FrameOf("GET / HTTP/1.1\r\n\r\n")}), "no shardmill message"));
  Packet packet;
  packet.messages.emplace_back(Stamp{}, GetView{});
  std::string header = TextOf(Encode(packet)[0]);
  header[4] = 7;
  EXPECT_EQ(why({FrameOf(header)}), "the peer speaks protocol version 7; this build speaks 1 to 1");
}

TEST(RefusalTest, RefusesWhatIsOverTheLimits) {
  const auto nothing = [](wire::Packet&) {};
  EXPECT_TRUE(Says(WhyRefused(SmallUnit(), nothing, {.message_bytes_max = 11}), "12 bytes"));
  EXPECT_TRUE(Says(WhyRefused(GetView{}, nothing, {.messages_max = 0}), "1 messages"));
  EXPECT_TRUE(Says(WhyRefused(ViewIs{SmallView()}, nothing, {.list_max = 1}), "2 entries"));
  EXPECT_TRUE(
      Says(WhyRefused(Register{ShardId{0}, "tcp://somewhere:1"}, nothing, {.text_bytes_max = 10}),
           "17 bytes"));
  EXPECT_TRUE(Says(WhyRefused(Refused{Refusal::kBusy, 0, std::string(9 << 20, 'x')}), "header"));
}

TEST(RefusalTest, RefusesMissingAndUnknownParts) {
  EXPECT_TRUE(Says(WhyRefused(GetView{}, [](auto& p) { p.mutable_messages(0)->clear_body(); }),
                   "unknown kind"));
  EXPECT_TRUE(Says(WhyRefused(GetView{}, [](auto& p) { p.clear_stamps(); }), "without a stamp"));
  EXPECT_TRUE(
      Says(WhyRefused(GetView{}, [](auto& p) { p.mutable_messages(0)->set_stamp(1); }), "stamp"));
  for (const int role : {0, 5, -1}) {
    EXPECT_TRUE(Says(WhyRefused(Hello{},
                                [role](auto& p) {
                                  p.mutable_messages(0)->mutable_hello()->set_role(
                                      static_cast<wire::Role>(role));
                                }),
                     "unknown role"));
  }
  for (const int code : {0, 17, -1}) {
    EXPECT_TRUE(Says(WhyRefused(Refused{},
                                [code](auto& p) {
                                  p.mutable_messages(0)->mutable_refused()->set_code(
                                      static_cast<wire::RefusalCode>(code));
                                }),
                     "unknown kind"));
  }
  EXPECT_TRUE(
      Says(WhyRefused(ViewIs{SmallView()},
                      [](auto& p) { p.mutable_messages(0)->mutable_view_is()->clear_view(); }),
           "policy"));
}

TEST(RefusalTest, RefusesPayloadThatIsNotAsDeclared) {
  const auto payload = [](auto change) {
    return WhyRefused(SmallUnit(),
                      [change](auto& p) { change(*p.mutable_messages(0)->mutable_payload()); });
  };
  EXPECT_TRUE(Says(payload([](auto& sizes) { sizes.Clear(); }), "too few payloads"));
  EXPECT_TRUE(Says(payload([](auto& sizes) { sizes.Add(4); }), "fewer payload"));
  EXPECT_TRUE(Says(payload([](auto& sizes) { sizes.Set(0, 8); }), "another size"));
  EXPECT_TRUE(
      Says(WhyRefused(SmallUnit(), [](auto& p) { p.mutable_messages(0)->mutable_get_view(); }),
           "has none"));
  Unit odd = SmallUnit();
  odd.gradient = odd.gradient.Slice(0, 7);
  EXPECT_TRUE(Says(WhyRefused(odd), "a payload of 7 bytes is no list of floats"));
  Pulled pulled;
  pulled.values = {odd.gradient};
  EXPECT_TRUE(Says(WhyRefused(pulled), "a payload of 7 bytes is no list of floats"));
  Packet packet;
  packet.messages.emplace_back(Stamp{}, SmallUnit());
  std::vector<Frame> frames = Encode(packet);
  frames.push_back(frames[1]);
  const auto decoded = Decode(frames, {});
  ASSERT_FALSE(decoded.ok());
  EXPECT_TRUE(Says(decoded.error().message, "more payload"));
}

TEST(RefusalTest, RefusesNumbersThatCannotBe) {
  constexpr uint64_t kLast = std::numeric_limits<uint64_t>::max();
  Unit unit = SmallUnit();
  unit.begin = kLast - 2;
  EXPECT_TRUE(Says(WhyRefused(unit), "range"));
  Pull pull;
  pull.begin = 2;
  pull.count = kLast - 1;
  EXPECT_TRUE(Says(WhyRefused(pull), "range"));
  for (const double samples : {-1.0, std::nan(""), double{INFINITY}, -double{INFINITY}}) {
    End end;
    end.samples = samples;
    EXPECT_TRUE(Says(WhyRefused(end), "no number")) << samples;
    Report report;
    report.samples = samples;
    EXPECT_TRUE(Says(WhyRefused(report), "no number")) << samples;
    EXPECT_TRUE(
        Says(WhyRefused(Frozen{ViewNumber{1}, {{WorkerId{0}, 1, samples, 1}}}), "no number"))
        << samples;
  }
  MakeTable table;
  table.spec.initial = Initial::Uniform(-1, 0);
  EXPECT_TRUE(Says(WhyRefused(table), "scale"));
  table.spec.initial = Initial::Constant(std::nanf(""));
  EXPECT_TRUE(Says(WhyRefused(table), "scale"));
}

TEST(RefusalTest, RefusesListsOfKeysThatCannotBe) {
  Unit unit = SmallUnit();
  unit.keys = {3, FrameOf("seven b")};
  EXPECT_TRUE(Says(WhyRefused(unit), "keys"));
  Pull pull;
  pull.keys = {3, FrameOf("seven b")};
  EXPECT_TRUE(Says(WhyRefused(pull), "keys"));
}

TEST(RefusalTest, RefusesViewsThatDoNotFitTogether) {
  const auto why = [](auto change) {
    View view = SmallView();
    change(view);
    return WhyRefused(Install{view, {}});
  };
  EXPECT_TRUE(Says(why([](View& v) { v.members[1].rank = WorkerId{0}; }), "rank"));
  EXPECT_TRUE(Says(why([](View& v) { std::swap(v.shards[0], v.shards[1]); }), "in order"));
  EXPECT_TRUE(Says(why([](View& v) { v.shards[0].id = ShardId{1}; }), "in order"));
  EXPECT_TRUE(Says(why([](View& v) { v.tables.push_back(v.tables[0]); }), "twice"));
  for (const std::vector<uint64_t>& cuts : std::vector<std::vector<uint64_t>>{
           {}, {0, 10}, {0, 11, 10}, {1, 5, 10}, {0, 5, 9}, {0, 5, 10, 10}}) {
    EXPECT_TRUE(Says(why([&cuts](View& v) { v.tables[0].cuts = cuts; }), "whole"));
  }
}

// Changes frames by chance: bits, lengths, order, number.
void Corrupt(Rng& rng, std::vector<Frame>& frames) {
  const size_t which = rng.Below(frames.size());
  std::string text = TextOf(frames[which]);
  switch (rng.Below(6)) {
    case 0:
    case 1:
      for (uint64_t flips = 1 + rng.Below(4); flips > 0 && !text.empty(); --flips) {
        text[rng.Below(text.size())] ^= static_cast<char>(1 << rng.Below(8));
      }
      break;
    case 2:
      text.resize(rng.Below(text.size() + 1));
      break;
    case 3:
      for (char& c : text.append(rng.Below(16), '\0')) {
        if (rng.Chance(0.1)) c = static_cast<char>(rng.Below(256));
      }
      break;
    case 4:
      frames.erase(frames.begin() + static_cast<ptrdiff_t>(which));
      return;
    default:
      frames.insert(frames.begin() + static_cast<ptrdiff_t>(rng.Below(frames.size() + 1)),
                    FrameOf(text.substr(0, rng.Below(text.size() + 1))));
      return;
  }
  frames[which] = FrameOf(text);
}

TEST(RefusalTest, SurvivesTwoHundredThousandCorruptions) {
  Rng rng(kSeed);
  int refused = 0;
  for (int round = 0; round < 200000; ++round) {
    std::vector<Frame> frames = Encode(RandomPacket(rng));
    Corrupt(rng, frames);
    const auto decoded = Decode(frames, {});
    if (!decoded.ok()) {
      ++refused;
      ASSERT_FALSE(decoded.error().message.empty()) << "seed " << kSeed << " round " << round;
      ASSERT_EQ(decoded.error().code, ErrorCode::kBadInput);
      continue;
    }
    // What was taken can be said again, and means the same.
    const auto again = Decode(Encode(decoded.value()), {});
    ASSERT_TRUE(again.ok()) << "seed " << kSeed << " round " << round << ": "
                            << again.error().message;
    ASSERT_EQ(again.value().messages.size(), decoded.value().messages.size());
  }
  // Most damage is seen; a flipped bit in a number or in the payload is another number.
  EXPECT_GT(refused, 100000);
}

}  // namespace
}  // namespace shardmill
