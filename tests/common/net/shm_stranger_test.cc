// What a link does with a peer that is broken or hostile: it ends.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "common/fresh_id.h"
#include "common/net/local_socket.h"
#include "common/net/shm_link.h"
#include "common/rng.h"
#include "tests/common/net/taken.h"

namespace shardmill {
namespace {

constexpr PeerId kPeer{5};
constexpr uint64_t kRing = RingPair::kBytesMin;
constexpr uint64_t kMagic = 0x6c696d6472616873;
constexpr Packet kHello{1, 1, kMagic};
constexpr uint32_t kSegment = 2;
constexpr uint32_t kMessage = 1;
constexpr uint32_t kReturns = 2;
constexpr uint32_t kInline = UINT32_MAX;
constexpr uint64_t kSegmentBytes = 1 << 20;
constexpr int kSeals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
constexpr int kSegmentSeals = kSeals | F_SEAL_FUTURE_WRITE;

// What a record of kMessage has for each frame.
struct Place {
  uint32_t segment = 0;
  uint32_t loan = 0;
  uint64_t offset = 0;
  uint64_t bytes = 0;
};

FileDescriptor MemoryFile(uint64_t bytes, int seals) {
  FileDescriptor file(memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  EXPECT_EQ(fallocate(file.get(), 0, 0, static_cast<off_t>(bytes)), 0);
  EXPECT_EQ(fcntl(file.get(), F_ADD_SEALS, seals), 0);
  return file;
}

// One who speaks to a link by hand, and the link.
class ShmStrangerTest : public testing::Test {
 protected:
  // A connection without a greeting.
  void Connect() {
    socket_ = ConnectLocal(token_);
    ASSERT_TRUE(socket_.valid());
    FileDescriptor accepted;
    ASSERT_EQ(AcceptLocal(listener_.get(), accepted), Passed::kDone);
    link_ = std::make_unique<ShmLink>(std::move(accepted), pool_, ShmLinkOptions{});
  }

  void Meet() {
    Connect();
    rings_ = RingPair::Make(kRing);
    Say(kHello, rings_->file());
    ASSERT_FALSE(link_->ended());
    writer_ = RingWriter(rings_->written_by_maker());
  }

  void Say(const Packet& packet, int file = -1) {
    ASSERT_EQ(SendPacket(socket_.get(), packet, file), Passed::kDone);
    link_->HandleSocket();
  }

  void Write(uint32_t kind, std::span<const std::byte> body) {
    writer_.Begin(kind, body.size());
    writer_.Put(body);
    writer_.PutZeros((8 - body.size() % 8) % 8);
    writer_.End();
    writer_.Publish(Sleep::kUntilMessage);
  }

  void WriteMessage(const std::vector<Place>& places, uint64_t inline_bytes = 0) {
    const uint64_t count = places.size();
    std::vector<std::byte> body(sizeof(count) + count * sizeof(Place) + inline_bytes);
    std::memcpy(body.data(), &count, sizeof(count));
    if (count > 0) std::memcpy(body.data() + 8, places.data(), count * sizeof(Place));
    Write(kMessage, body);
  }

  std::vector<Taken> Receive() {
    Inbox inbox;
    while (link_->Ready()) link_->Receive(kPeer, inbox);
    return TakeAll(inbox);
  }

  const std::string token_ = "test-" + std::to_string(FreshId());
  FileDescriptor listener_ = ListenLocal(token_);
  FramePool pool_{FramePool::Memory::kShared};
  FileDescriptor socket_;
  std::optional<RingPair> rings_;
  RingWriter writer_;
  std::unique_ptr<ShmLink> link_;
};

TEST_F(ShmStrangerTest, GreetsWhoGreetsRightAlone) {
  const RingPair rings = std::move(RingPair::Make(kRing)).value();
  const FileDescriptor unsealed = MemoryFile(4096 + 2 * kRing, 0);
  const FileDescriptor small = MemoryFile(4096, kSeals);
  const std::vector<std::pair<Packet, int>> wrong{
      {kHello, -1},
      {kHello, unsealed.get()},
      {kHello, small.get()},
      {{1, 2, kMagic}, rings.file()},
      {{1, 1, kMagic + 1}, rings.file()},
      {{3, 1, kMagic}, rings.file()},
  };
  for (size_t i = 0; i < wrong.size(); ++i) {
    Connect();
    Say(wrong[i].first, wrong[i].second);
    EXPECT_TRUE(link_->ended()) << i;
  }
  Connect();
  Say(kHello, rings.file());
  EXPECT_FALSE(link_->ended());
  Say(kHello, rings.file());
  EXPECT_TRUE(link_->ended()) << "a second greeting";
}

TEST_F(ShmStrangerTest, EndsWhereAPacketIsNone) {
  for (const std::string& bytes : {std::string("short"), std::string(4000, 'x')}) {
    Meet();
    ASSERT_EQ(write(socket_.get(), bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
    link_->HandleSocket();
    EXPECT_TRUE(link_->ended());
  }
}

TEST_F(ShmStrangerTest, MapsOnlySegmentsThatCannotShrinkAndAreWhatTheySay) {
  const FileDescriptor good = MemoryFile(kSegmentBytes, kSegmentSeals);
  const FileDescriptor unsealed = MemoryFile(kSegmentBytes, F_SEAL_GROW);
  const FileDescriptor writable = MemoryFile(kSegmentBytes, kSeals);
  struct Case {
    const char* why;
    Packet packet;
    int file;
  };
  for (const Case& wrong : {
           Case{"no file", {kSegment, 0, kSegmentBytes}, -1},
           Case{"may shrink", {kSegment, 0, kSegmentBytes}, unsealed.get()},
           Case{"may get holes", {kSegment, 0, kSegmentBytes}, writable.get()},
           Case{"smaller than it says", {kSegment, 0, 2 * kSegmentBytes}, good.get()},
           Case{"larger than it says", {kSegment, 0, kSegmentBytes / 2}, good.get()},
           Case{"empty", {kSegment, 0, 0}, good.get()},
           Case{"beyond the last",
                {kSegment, BorrowLimits{}.segments_max, kSegmentBytes},
                good.get()},
           Case{"a socket", {kSegment, 0, kSegmentBytes}, 0},
       }) {
    Meet();
    Say(wrong.packet, wrong.file);
    EXPECT_TRUE(link_->ended()) << wrong.why;
  }
  Meet();
  Say({kSegment, 3, kSegmentBytes}, good.get());
  EXPECT_FALSE(link_->ended());
  Say({kSegment, 3, kSegmentBytes}, good.get());
  EXPECT_TRUE(link_->ended()) << "twice";
}

TEST_F(ShmStrangerTest, TakesNoFrameFromBeyondASegment) {
  const FileDescriptor file = MemoryFile(kSegmentBytes, kSegmentSeals);
  for (const Place& wrong : {
           Place{1, 0, 0, 8},
           Place{0, 0, 0, 0},
           Place{0, 0, 0, kSegmentBytes + 1},
           Place{0, 0, kSegmentBytes, 1},
           Place{0, 0, kSegmentBytes + 1, 0},
           Place{0, 0, UINT64_MAX, 2},
           Place{0, 0, 2, UINT64_MAX},
           Place{kInline, 0, 0, 9},
           Place{kInline, 0, 0, UINT64_MAX},
       }) {
    Meet();
    Say({kSegment, 0, kSegmentBytes}, file.get());
    WriteMessage({Place{0, 0, 0, kSegmentBytes}, Place{0, 1, kSegmentBytes - 1, 1}});
    ASSERT_EQ(Receive().size(), 1U);
    WriteMessage({wrong}, 8);
    for (const Taken& taken : Receive()) EXPECT_TRUE(taken.frames.empty());
    EXPECT_TRUE(link_->ended()) << wrong.segment << " " << wrong.offset << " " << wrong.bytes;
  }
}

TEST_F(ShmStrangerTest, EndsWhereARecordIsNone) {
  const std::vector<std::pair<uint32_t, std::vector<uint32_t>>> wrong{
      {0, {}},
      {77, {0, 0}},
      {kMessage, {}},
      {kMessage, {1, 0}},
      {kMessage, {UINT32_MAX, 0, 1, 2, 3, 4}},
      {kReturns, {}},
      {kReturns, {1, 0}},
      {kReturns, {1, 0, 0, 0}},
      {kReturns, {UINT32_MAX, 0, UINT32_MAX, UINT32_MAX}},
  };
  for (size_t i = 0; i < wrong.size(); ++i) {
    Meet();
    Write(wrong[i].first, std::as_bytes(std::span(wrong[i].second)));
    for (const Taken& taken : Receive()) EXPECT_TRUE(taken.frames.empty());
    EXPECT_TRUE(link_->ended()) << i;
  }
}

TEST_F(ShmStrangerTest, EndsALoanOnce) {
  Meet();
  const Frame body = pool_.CopyOf(std::vector<std::byte>(5000));
  ASSERT_EQ(link_->Send(std::vector{Frame(), body}), Sent::kSent);
  const std::vector<uint32_t> loan{1, 0, 0, 0};
  Write(kReturns, std::as_bytes(std::span(loan)));
  EXPECT_TRUE(Receive().empty());
  EXPECT_TRUE(body.Unique());
  EXPECT_FALSE(link_->ended());
  Write(kReturns, std::as_bytes(std::span(loan)));
  EXPECT_TRUE(Receive().empty());
  EXPECT_TRUE(link_->ended());
}

TEST_F(ShmStrangerTest, BreaksWhereItsOwnRingIsSpoilt) {
  Meet();
  rings_->written_by_taker().heads->read = 80;
  EXPECT_EQ(link_->Send(std::vector{Frame()}), Sent::kUnknown);
  EXPECT_TRUE(link_->ended());
}

TEST_F(ShmStrangerTest, GivesUpWhereTheRingIsTooSmallForAMessage) {
  Meet();
  const std::vector<Frame> many(kRing / sizeof(Place) + 1);
  EXPECT_EQ(link_->Send(many), Sent::kUnknown);
  EXPECT_TRUE(link_->ended());
  Meet();
  const std::vector<Frame> most(kRing / 1024, pool_.CopyOf(std::vector<std::byte>(1000)));
  EXPECT_EQ(link_->Send(most), Sent::kSent) << "more than the ring has room for: lent";
}

// Thousands of rings with chance in them: no record may take it out of its memory, or stop it.
TEST_F(ShmStrangerTest, LivesThroughWhateverStandsInTheRing) {
  const FileDescriptor file = MemoryFile(kSegmentBytes, kSegmentSeals);
  const Frame body = pool_.CopyOf(std::vector<std::byte>(5000));
  Rng rng(4711);
  uint64_t messages = 0;
  uint64_t links = 0;
  for (int round = 0; round < 5000; ++round) {
    if (!link_ || link_->ended()) {
      ++links;
      Meet();
      Say({kSegment, 0, kSegmentBytes}, file.get());
      ASSERT_EQ(link_->Send(std::vector{Frame(), body, body}), Sent::kSent);
    }
    bool sane = true;
    if (writer_.Room(sane) < 4096) continue;
    std::vector<Place> places(rng.Below(4));
    uint64_t inline_bytes = 0;
    for (Place& place : places) {
      place.bytes = rng.Below(2) == 0 ? 8 * rng.Below(20) : rng.Below(2 * kSegmentBytes);
      place.segment = rng.Below(2) == 0 ? kInline : static_cast<uint32_t>(rng.Below(8) / 7);
      place.offset = rng.Below(kSegmentBytes);
      if (place.segment == kInline && place.bytes < 1000) inline_bytes += place.bytes;
    }
    const RingMemory memory = rings_->written_by_maker();
    const uint64_t at = memory.heads->written;
    WriteMessage(places, inline_bytes);
    // In every second round bytes are turned over, of the record or of what stands around it.
    for (uint64_t flips = rng.Below(2) * rng.Below(6); flips > 0; --flips) {
      const uint64_t where = (at + rng.Below(256)) % kRing;
      memory.data[where] ^= static_cast<std::byte>(1 << rng.Below(8));
    }
    if (rng.Below(50) == 0) memory.heads->written = at + rng.Below(uint64_t{1} << rng.Below(64));
    if (rng.Below(50) == 0) rings_->written_by_taker().heads->read = rng.Next();
    for (const Taken& received : Receive()) {
      ++messages;
      uint64_t sum = 0;
      for (const Frame& frame : received.frames) {
        for (const std::byte byte : frame.bytes()) sum += static_cast<uint64_t>(byte);
      }
      // What is there is zero, but for the bytes that were turned over.
      EXPECT_LE(sum, uint64_t{100} * kRing);
    }
    link_->Flush();
  }
  EXPECT_GT(messages, 500U);
  EXPECT_GT(links, 500U);
}

}  // namespace
}  // namespace shardmill
