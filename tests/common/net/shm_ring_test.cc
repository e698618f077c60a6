#include "common/net/shm_ring.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <deque>
#include <string>
#include <thread>
#include <vector>

#include "common/net/shm_memory.h"
#include "common/rng.h"

namespace shardmill {
namespace {

constexpr uint64_t kRing = RingPair::kBytesMin;
constexpr uint32_t kKind = 7;

std::span<const std::byte> BytesOf(const std::string& text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

// False where there is no room.
bool Write(RingWriter& writer, const std::string& body) {
  bool sane = true;
  if (writer.Room(sane) < body.size() || !sane) return false;
  writer.Begin(kKind, body.size());
  writer.Put(BytesOf(body));
  writer.PutZeros((8 - body.size() % 8) % 8);
  writer.End();
  writer.Publish(Sleep::kUntilMessage);
  return true;
}

// The body of the next record, padded; nothing where there is none.
std::string Read(RingReader& reader) {
  uint32_t kind = 0;
  if (reader.Next(kind) != RingReader::Found::kRecord) return "";
  EXPECT_EQ(kind, kKind);
  std::string body(reader.left(), ' ');
  EXPECT_TRUE(reader.Take(std::as_writable_bytes(std::span(body.data(), body.size()))));
  reader.Finish();
  return body;
}

std::string RandomBody(Rng& rng) {
  std::string body(1 + rng.Below(3000), ' ');
  for (char& c : body) c = static_cast<char>(rng.Next());
  return body;
}

class ShmRingTest : public testing::Test {
 protected:
  RingPair pair_ = std::move(RingPair::Make(kRing)).value();
  RingMemory memory_ = pair_.written_by_maker();
  RingWriter writer_{memory_};
  RingReader reader_{memory_};
};

TEST_F(ShmRingTest, BringsRecordsInOrderAroundItsEnd) {
  Rng rng(1);
  std::deque<std::string> under_way;
  uint64_t bytes = 0;
  while (bytes < 20 * kRing) {
    const std::string body = RandomBody(rng);
    if (Write(writer_, body)) {
      bytes += body.size();
      under_way.push_back(body);
      continue;
    }
    ASSERT_FALSE(under_way.empty());
    for (uint64_t i = rng.Below(under_way.size() + 1); i > 0; --i) {
      ASSERT_EQ(Read(reader_).substr(0, under_way.front().size()), under_way.front());
      under_way.pop_front();
    }
  }
}

TEST_F(ShmRingTest, HasRoomForNoMoreThanItsSize) {
  const std::string body(1016, 'x');
  uint64_t records = 0;
  while (Write(writer_, body)) ++records;
  EXPECT_EQ(records, kRing / 1024);
  EXPECT_FALSE(Read(reader_).empty());
  EXPECT_TRUE(Write(writer_, body));
  EXPECT_FALSE(Write(writer_, body));
}

TEST_F(ShmRingTest, ShowsNothingBeforeItIsPublished) {
  writer_.Begin(kKind, 8);
  writer_.Put(BytesOf("12345678"));
  writer_.End();
  EXPECT_FALSE(reader_.Ready());
  writer_.Publish(Sleep::kUntilMessage);
  EXPECT_TRUE(reader_.Ready());
  EXPECT_EQ(Read(reader_), "12345678");
}

TEST_F(ShmRingTest, WakesOnlyWhoSleepsAndOnce) {
  EXPECT_FALSE(writer_.Publish(Sleep::kUntilMessage));
  ASSERT_TRUE(reader_.FallAsleep(Sleep::kUntilMessage));
  EXPECT_FALSE(writer_.Publish(Sleep::kUntilAnything));
  EXPECT_TRUE(writer_.Publish(Sleep::kUntilMessage));
  EXPECT_FALSE(writer_.Publish(Sleep::kUntilMessage));
  ASSERT_TRUE(reader_.FallAsleep(Sleep::kUntilAnything));
  EXPECT_TRUE(writer_.Publish(Sleep::kUntilAnything));
  ASSERT_TRUE(Write(writer_, "something"));
  EXPECT_FALSE(reader_.FallAsleep(Sleep::kUntilMessage));
  EXPECT_FALSE(writer_.Publish(Sleep::kUntilMessage));
}

TEST_F(ShmRingTest, RefusesAnIndexOfTheReaderThatCannotBe) {
  for (const uint64_t index : {uint64_t{8}, uint64_t{1}, UINT64_MAX, UINT64_MAX - kRing - 7}) {
    memory_.heads->read = index;
    bool sane = true;
    EXPECT_EQ(writer_.Room(sane), 0U) << index;
    EXPECT_FALSE(sane) << index;
  }
}

TEST_F(ShmRingTest, RefusesLengthsThatCannotBe) {
  for (const uint32_t bytes : {0U, 4U, 9U, 24U, UINT32_MAX, UINT32_MAX - 7}) {
    std::memcpy(memory_.data, &bytes, sizeof(bytes));
    memory_.heads->written = 16;
    RingReader reader(memory_);
    uint32_t kind = 0;
    EXPECT_EQ(reader.Next(kind), RingReader::Found::kNonsense) << bytes;
  }
  for (const uint64_t written : {uint64_t{4}, kRing + 8, UINT64_MAX}) {
    memory_.heads->written = written;
    RingReader reader(memory_);
    uint32_t kind = 0;
    EXPECT_EQ(reader.Next(kind), RingReader::Found::kNonsense) << written;
  }
}

TEST_F(ShmRingTest, TakesNoMoreOfARecordThanThereIs) {
  ASSERT_TRUE(Write(writer_, "12345678"));
  uint32_t kind = 0;
  ASSERT_EQ(reader_.Next(kind), RingReader::Found::kRecord);
  std::array<std::byte, 9> nine{};
  EXPECT_FALSE(reader_.Take(nine));
  EXPECT_FALSE(reader_.Skip(9));
  EXPECT_TRUE(reader_.Take(std::span(nine).first(8)));
  EXPECT_FALSE(reader_.Take(std::span(nine).first(1)));
}

// With the thread sanitizer this shows that no byte is read before it is published.
TEST_F(ShmRingTest, CarriesBetweenThreads) {
  constexpr uint64_t kRecords = 100'000;
  std::thread writer([this] {
    for (uint64_t i = 0; i < kRecords;) {
      const std::string body(8 * (1 + i % 40), static_cast<char>('a' + i % 26));
      if (Write(writer_, body)) {
        ++i;
      } else {
        std::this_thread::yield();
      }
    }
  });
  uint64_t wrong = 0;
  for (uint64_t i = 0; i < kRecords;) {
    const std::string body = Read(reader_);
    if (body.empty()) {
      std::this_thread::yield();
      continue;
    }
    wrong += body == std::string(8 * (1 + i % 40), static_cast<char>('a' + i % 26)) ? 0 : 1;
    ++i;
  }
  writer.join();
  EXPECT_EQ(wrong, 0U);
}

constexpr int kSeals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;

FileDescriptor MemoryFile(uint64_t bytes, bool whole, int seals) {
  FileDescriptor file(memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  const auto size = static_cast<off_t>(bytes);
  EXPECT_EQ(whole ? fallocate(file.get(), 0, 0, size) : ftruncate(file.get(), size), 0);
  EXPECT_EQ(fcntl(file.get(), F_ADD_SEALS, seals), 0);
  return file;
}

TEST(RingPairTest, TakesOnlyFilesThatMakeMakes) {
  const uint64_t bytes = 4096 + 2 * kRing;
  EXPECT_TRUE(RingPair::Take(MemoryFile(bytes, true, kSeals)));
  EXPECT_FALSE(RingPair::Take(FileDescriptor()));
  EXPECT_FALSE(RingPair::Take(FileDescriptor(open("/proc/self/exe", O_RDONLY | O_CLOEXEC))));
  for (const int seals : {0, F_SEAL_SHRINK, F_SEAL_SHRINK | F_SEAL_GROW, kSeals & ~F_SEAL_SHRINK}) {
    EXPECT_FALSE(RingPair::Take(MemoryFile(bytes, true, seals))) << seals;
  }
  EXPECT_FALSE(RingPair::Take(MemoryFile(bytes, false, kSeals))) << "holes";
  for (const uint64_t other : {uint64_t{1}, uint64_t{4096}, bytes - 1, bytes + 4096,
                               4096 + 2 * kRing / 2, 4096 + 3 * kRing}) {
    EXPECT_FALSE(RingPair::Take(MemoryFile(other, true, kSeals))) << other;
  }
}

TEST(RingPairTest, ShowsBothSidesTheSameMemory) {
  const RingPair made = std::move(RingPair::Make(kRing)).value();
  const RingPair taken = std::move(RingPair::Take(FileDescriptor(dup(made.file())))).value();
  RingWriter there(made.written_by_maker());
  RingReader here(taken.written_by_maker());
  RingWriter back(taken.written_by_taker());
  RingReader home(made.written_by_taker());
  ASSERT_TRUE(Write(there, "to whom it takes"));
  ASSERT_TRUE(Write(back, "to whom it made!"));
  EXPECT_EQ(Read(here), "to whom it takes");
  EXPECT_EQ(Read(home), "to whom it made!");
}

}  // namespace
}  // namespace shardmill
