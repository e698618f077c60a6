#include "common/frame.h"

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

namespace shardmill {
namespace {

// Bytes that belong to somebody else, as a received message's do, and a count of their releases.
class BorrowedStorage final : public FrameStorage {
 public:
  explicit BorrowedStorage(int& releases) : releases_(releases) {}
  ~BorrowedStorage() override { ++releases_; }

 private:
  int& releases_;
};

constexpr std::array<float, 4> kFloats = {1.5F, -2.0F, 0.25F, 8.0F};

std::vector<float> FloatsOf(const Frame& frame) {
  return {frame.floats().begin(), frame.floats().end()};
}

TEST(FrameTest, CopiesShareTheSameBytes) {
  const Frame frame = Frame::CopyOf(kFloats);
  const Frame copy = frame;

  EXPECT_EQ(copy.bytes().data(), frame.bytes().data());
  EXPECT_EQ(FloatsOf(copy), std::vector<float>(kFloats.begin(), kFloats.end()));
}

TEST(FrameTest, ReleasesItsStorageOnceAndWithTheLastReference) {
  int releases = 0;
  const auto bytes = std::as_bytes(std::span(kFloats));
  {
    Frame first(std::make_unique<BorrowedStorage>(releases), bytes);
    Frame second = first;
    const Frame part = second.Slice(4, 4);
    first = Frame();
    second = Frame();
    EXPECT_EQ(releases, 0);
    EXPECT_EQ(FloatsOf(part), std::vector<float>{-2.0F});
  }
  EXPECT_EQ(releases, 1);
}

TEST(FrameTest, IsUniqueOnlyWhileNobodyElseHoldsIt) {
  Frame frame = Frame::CopyOf(kFloats);
  EXPECT_TRUE(frame.Unique());
  {
    const Frame part = frame.Slice(0, 4);
    EXPECT_FALSE(frame.Unique());
  }
  EXPECT_TRUE(frame.Unique());
  const Frame moved = std::move(frame);
  EXPECT_TRUE(moved.Unique());
}

TEST(FrameTest, AssignsItselfWithoutLosingItsBytes) {
  Frame frame = Frame::CopyOf(kFloats);
  const Frame& same = frame;
  frame = same;
  EXPECT_TRUE(frame.Unique());
  EXPECT_EQ(frame.floats()[3], 8.0F);
}

TEST(FrameTest, TellsBytesThatAreNotWholeFloats) {
  const Frame frame = Frame::CopyOf(kFloats);
  EXPECT_TRUE(frame.IsFloats());
  EXPECT_FALSE(frame.Slice(0, 7).IsFloats());
  EXPECT_FALSE(frame.Slice(1, 4).IsFloats());
  EXPECT_TRUE(frame.Slice(16, 0).IsFloats());
}

TEST(FrameTest, HoldsNothingWhenEmpty) {
  const Frame nothing;
  const Frame copied = Frame::CopyOf(std::span<const std::byte>());
  EXPECT_EQ(nothing.size(), 0U);
  EXPECT_FALSE(nothing.Unique());
  EXPECT_EQ(copied.size(), 0U);
  EXPECT_TRUE(copied.floats().empty());
}

TEST(FrameTest, CountsReferencesFromManyThreads) {
  int releases = 0;
  Frame frame(std::make_unique<BorrowedStorage>(releases), std::as_bytes(std::span(kFloats)));
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([copy = frame] {
        for (int round = 0; round < 1000; ++round) EXPECT_EQ(copy.Slice(4, 8).size(), 8U);
      });
    }
  }
  EXPECT_TRUE(frame.Unique());
  frame = Frame();
  EXPECT_EQ(releases, 1);
}

TEST(FrameDeathTest, RefusesASliceBeyondItsEnd) {
  const Frame frame = Frame::CopyOf(kFloats);
  EXPECT_DEATH((void)frame.Slice(8, 9), "size_");
  EXPECT_DEATH((void)frame.Slice(SIZE_MAX, 2), "size_");
}

TEST(BufferTest, BecomesAFrameOfWhatWasWritten) {
  Buffer buffer = Buffer::OfFloats(3);
  buffer.floats()[0] = 1;
  buffer.floats()[1] = 2;
  buffer.floats()[2] = 3;
  const Frame frame = std::move(buffer).Close();
  EXPECT_EQ(FloatsOf(frame), (std::vector<float>{1, 2, 3}));
}

TEST(BufferTest, IsAlignedToACacheLine) {
  for (const size_t size : {1, 63, 64, 1000}) {
    Buffer buffer = Buffer::OfBytes(size);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(buffer.bytes().data()) % 64, 0U) << size;
  }
}

TEST(BufferTest, ReopensAFrameThatNobodyElseHolds) {
  Frame frame = Frame::CopyOf(kFloats);
  const std::byte* place = frame.bytes().data();
  Buffer buffer = Buffer::Reopen(std::move(frame));
  buffer.floats()[0] = 7;
  const Frame again = std::move(buffer).Close();
  EXPECT_EQ(again.bytes().data(), place);
  EXPECT_EQ(FloatsOf(again), (std::vector<float>{7, -2, 0.25, 8}));
}

TEST(BufferDeathTest, RefusesToReopenWhatOthersHold) {
  Frame frame = Frame::CopyOf(kFloats);
  const Frame reader = frame;
  EXPECT_DEATH((void)Buffer::Reopen(std::move(frame)), "Unique");
}

TEST(BufferDeathTest, RefusesToReopenBytesThatAreNotItsOwn) {
  int releases = 0;
  Frame frame(std::make_unique<BorrowedStorage>(releases), std::as_bytes(std::span(kFloats)));
  EXPECT_DEATH((void)Buffer::Reopen(std::move(frame)), "storage");
}

}  // namespace
}  // namespace shardmill
