#include "common/frame_pool.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

namespace shardmill {
namespace {

constexpr uint64_t kMiB = uint64_t{1} << 20;

TEST(FramePoolTest, MapsNothingMoreForWhatItHasHadBefore) {
  FramePool pool(FramePool::Memory::kPrivate);
  const auto round = [&pool] {
    std::vector<Frame> frames;
    for (const uint64_t size : {uint64_t{1}, uint64_t{100}, 3 * kMiB, 5 * kMiB + 3}) {
      Buffer buffer = pool.OfBytes(size);
      EXPECT_EQ(buffer.bytes().size(), size);
      EXPECT_EQ(reinterpret_cast<uintptr_t>(buffer.bytes().data()) % 64, 0U);
      std::memset(buffer.bytes().data(), 7, size);
      frames.push_back(std::move(buffer).Close());
    }
  };
  round();
  const uint64_t mapped = pool.mapped_bytes();
  EXPECT_GE(mapped, 8 * kMiB);
  for (int i = 0; i < 10; ++i) round();
  EXPECT_EQ(pool.mapped_bytes(), mapped);
}

TEST(FramePoolTest, GivesNoBytesTwiceAtATime) {
  FramePool pool(FramePool::Memory::kPrivate);
  Buffer first = pool.OfFloats(1000);
  Buffer second = pool.OfFloats(1000);
  std::ranges::fill(first.floats(), 1.0F);
  std::ranges::fill(second.floats(), 2.0F);
  EXPECT_EQ(first.floats()[999], 1.0F);
  const Frame whole = std::move(first).Close();
  const Frame part = whole.Slice(0, 4);
  EXPECT_NE(pool.OfFloats(1000).floats().data(), whole.floats().data());
}

TEST(FramePoolTest, FramesOutliveTheirPool) {
  auto pool = std::make_unique<FramePool>(FramePool::Memory::kShared);
  const std::vector<std::byte> bytes(kMiB, std::byte{9});
  Frame frame = pool->CopyOf(bytes);
  pool.reset();
  EXPECT_EQ(frame.bytes().back(), std::byte{9});
  std::thread([last = std::move(frame)] {}).join();
}

TEST(FramePoolTest, TakesABufferBackFromItsFrame) {
  FramePool pool(FramePool::Memory::kPrivate);
  Frame frame = pool.CopyOf(std::vector<std::byte>(128));
  const std::byte* const at = frame.bytes().data();
  EXPECT_EQ(Buffer::Reopen(std::move(frame)).bytes().data(), at);
}

TEST(FramePoolTest, PeersReadWhatIsSharedAndCannotWriteOrShrinkIt) {
  FramePool pool(FramePool::Memory::kShared);
  const Frame first = pool.CopyOf(std::vector<std::byte>(3 * kMiB, std::byte{1}));
  const Frame second = pool.CopyOf(std::vector<std::byte>(kMiB, std::byte{2}));
  const auto place = pool.Find(second.Slice(64, 64).bytes());
  ASSERT_TRUE(place);
  const auto [file, size] = pool.FileOf(place->segment);
  ASSERT_GE(file, 0);
  const void* mapped = mmap(nullptr, size, PROT_READ, MAP_SHARED, file, 0);
  ASSERT_NE(mapped, MAP_FAILED);
  EXPECT_EQ(static_cast<const std::byte*>(mapped)[place->offset], std::byte{2});
  EXPECT_EQ(mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0), MAP_FAILED);
  EXPECT_NE(ftruncate(file, 0), 0);
  munmap(const_cast<void*>(mapped), size);
}

TEST(FramePoolTest, FindsOnlyWhatIsItsOwnAndShared) {
  const FramePool pool(FramePool::Memory::kShared);
  FramePool other(FramePool::Memory::kShared);
  FramePool hidden(FramePool::Memory::kPrivate);
  EXPECT_FALSE(pool.Find(other.OfBytes(64).bytes()));
  EXPECT_FALSE(hidden.Find(hidden.OfBytes(64).bytes()));
  EXPECT_TRUE(other.Find(other.OfBytes(64).bytes()));
}

TEST(FramePoolTest, BlocksComeAndGoOnAnyThread) {
  FramePool pool(FramePool::Memory::kPrivate);
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&pool, i] {
      const auto mine = static_cast<std::byte>(i);
      for (int turn = 0; turn < 1000; ++turn) {
        const Frame frame = pool.CopyOf(std::vector<std::byte>(256, mine));
        ASSERT_EQ(frame.bytes()[255], mine);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_LE(pool.mapped_bytes(), 2 * kMiB);
}

}  // namespace
}  // namespace shardmill
