#include "server/shard_log.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "common/blob/memory_files.h"
#include "server/log_desk.h"

namespace shardmill {
namespace {

constexpr const char* kPath = "shard-0.log";
constexpr Stamp kStamp{JobId{7}, Generation{2}, Term{3}, BootId{9}, BootId{}};

Follow ItemOf(uint64_t number) {
  const std::vector<float> floats(number * 100, static_cast<float>(number));
  return {ShardId{0}, 1, number, CopyPiece{TableId{1}, DensePiece{0, 0, Frame::CopyOf(floats)}}};
}

class ShardLogTest : public testing::Test {
 protected:
  // Batches of one item, the last of which makes it the log.
  void Write(uint64_t items) {
    auto writer = ShardLogWriter::Begin(files_, kPath, frames_);
    ASSERT_TRUE(writer.ok());
    for (uint64_t number = 1; number <= items; ++number) {
      ends_.push_back(writer.value()->bytes());
      const std::vector<Follow> batch = {ItemOf(number)};
      ASSERT_TRUE(writer.value()->Append(kStamp, batch, number == 2).ok());
    }
    ends_.push_back(writer.value()->bytes());
  }
  // Two batches, the last of which has the head of another log's batch of that number within it.
  // Returns where it begins.
  uint64_t WriteAHeadIntoTheLastBatch(uint64_t number) {
    auto other = ShardLogWriter::Begin(files_, kPath, frames_).value();
    for (uint64_t batch = 1; batch <= number; ++batch) {
      EXPECT_TRUE(other->Append(kStamp, {}, batch == number).ok());
    }
    std::vector<std::byte> head(kShardLogHeadBytes);
    EXPECT_TRUE(files_.Read(kPath, other->bytes() - head.size(), head).ok());
    head.resize(head.size() + 8);
    const DensePiece piece{0, 0, Frame::CopyOf(head)};
    auto writer = ShardLogWriter::Begin(files_, kPath, frames_).value();
    EXPECT_TRUE(writer->Append(kStamp, std::vector<Follow>{ItemOf(1)}, true).ok());
    const uint64_t begin = writer->bytes();
    const Follow item{ShardId{0}, 1, 2, CopyPiece{TableId{1}, piece}};
    EXPECT_TRUE(writer->Append(kStamp, std::vector<Follow>{item}, false).ok());
    return begin;
  }
  // How many items are read; they are those that were written.
  Result<uint64_t> Read() {
    uint64_t count = 0;
    SM_TRY(ReadShardLog(files_, kPath, frames_, [&](const Stamp& stamp, Follow item) -> Result<> {
      EXPECT_EQ(stamp, kStamp);
      EXPECT_EQ(item.item, ++count);
      const Follow written = ItemOf(count);
      const auto& is = std::get<DensePiece>(std::get<CopyPiece>(item.what).piece).floats;
      const auto& was = std::get<DensePiece>(std::get<CopyPiece>(written.what).piece).floats;
      EXPECT_TRUE(std::ranges::equal(is.floats(), was.floats()));
      return {};
    }));
    return count;
  }

  MemoryFiles files_{1};
  FramePool frames_{FramePool::Memory::kPrivate};
  std::vector<uint64_t> ends_;  // Of the batches; first, where they begin.
};

TEST_F(ShardLogTest, HasWhatWasWritten) {
  EXPECT_EQ(Read().error().code, ErrorCode::kUnavailable);
  Write(5);
  const Result<uint64_t> read = Read();
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_EQ(read.value(), 5U);
}

TEST_F(ShardLogTest, EndsBeforeABatchThatIsNotWhole) {
  for (uint64_t missing = 1; missing < 40; ++missing) {
    Write(4);
    files_.Truncate(kPath, ends_.back() - missing);
    const Result<uint64_t> read = Read();
    ASSERT_TRUE(read.ok()) << read.error().message;
    EXPECT_EQ(read.value(), 3U);
    ends_.clear();
  }
}

TEST_F(ShardLogTest, RefusesDamageBeforeTheLastBatch) {
  for (uint64_t at = 0; at < 1000; at += 37) {
    Write(4);
    files_.Spoil(kPath, at, std::byte{4});
    const Result<uint64_t> read = Read();
    ASSERT_FALSE(read.ok()) << "byte " << at;
    EXPECT_EQ(read.error().code, ErrorCode::kBadInput);
    EXPECT_NE(read.error().message.find(kPath), std::string::npos) << read.error().message;
    ends_.clear();
  }
}

// A damaged batch is told from one that a crash has cut off by what is behind it.
TEST_F(ShardLogTest, RefusesDamageBeforeAHeadThatIsSound) {
  constexpr uint64_t kBody = kShardLogHeadBytes;
  using Places = std::vector<std::pair<size_t, uint64_t>>;  // The batch, and the byte in it.
  for (const Places& places :
       {Places{{2, 0}, {3, kBody}}, Places{{2, kBody}, {3, 0}}, Places{{1, 0}, {2, 0}, {3, kBody}},
        Places{{1, 0}, {3, 0}}, Places{{0, 0}, {1, 0}, {2, 0}}}) {
    ends_.clear();
    Write(4);
    for (const auto& [batch, byte] : places) {
      files_.Spoil(kPath, ends_[batch] + byte, std::byte{4});
    }
    const Result<uint64_t> read = Read();
    ASSERT_FALSE(read.ok()) << "batch " << places.front().first;
    EXPECT_EQ(read.error().code, ErrorCode::kBadInput);
  }
}

TEST_F(ShardLogTest, TakesDamageToTheHeadsOfAllLastBatchesForABatchThatIsNotWhole) {
  for (uint64_t at = 0; at < kShardLogHeadBytes; ++at) {
    ends_.clear();
    Write(4);
    files_.Spoil(kPath, ends_[2] + at, std::byte{4});
    files_.Spoil(kPath, ends_[3] + at, std::byte{4});
    const Result<uint64_t> read = Read();
    ASSERT_TRUE(read.ok()) << read.error().message;
    EXPECT_EQ(read.value(), 2U);
  }
}

// By chance four bytes in 2^32 are the checksum of those before; and somebody may train on logs.
TEST_F(ShardLogTest, EndsBeforeABatchThatIsNotWholeAndHasWhatLooksLikeAHead) {
  WriteAHeadIntoTheLastBatch(3);
  files_.Truncate(kPath, files_.Size(kPath).value() - 1);
  const Result<uint64_t> read = Read();
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_EQ(read.value(), 1U);
}

TEST_F(ShardLogTest, KnowsThatTheHeadOfABatchFarBehindCannotBeNear) {
  files_.Spoil(kPath, WriteAHeadIntoTheLastBatch(1000), std::byte{4});
  const Result<uint64_t> read = Read();
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_EQ(read.value(), 1U);
}

TEST_F(ShardLogTest, RefusesAFileThatNeverWasTheLog) {
  Write(3);
  files_.Truncate(kPath, ends_[1]);
  EXPECT_EQ(Read().error().code, ErrorCode::kBadInput);
}

TEST_F(ShardLogTest, TakesThePlaceOfTheOneBeforeWhenItIsTold) {
  Write(3);
  auto next = ShardLogWriter::Begin(files_, kPath, frames_);
  ASSERT_TRUE(next.ok());
  ASSERT_TRUE(next.value()->Append(kStamp, std::vector<Follow>{ItemOf(1)}, false).ok());
  EXPECT_EQ(Read().value(), 3U);
  ASSERT_TRUE(next.value()->Append(kStamp, {}, true).ok());
  EXPECT_EQ(Read().value(), 1U);
}

// What was synced is there after a crash, whatever became of the rest.
TEST_F(ShardLogTest, HasAfterACrashWhatWasOnDisk) {
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    MemoryFiles files(seed);
    uint64_t synced = 0;
    {
      auto writer = ShardLogWriter::Begin(files, kPath, frames_);
      ASSERT_TRUE(writer.ok());
      files.CrashAfter(1 + seed % 40);
      for (uint64_t number = 1; number <= 20; ++number) {
        const std::vector<Follow> batch = {ItemOf(number)};
        if (!writer.value()->Append(kStamp, batch, number == 2).ok()) break;
        synced = number;
      }
    }
    files.Restart();
    uint64_t count = 0;
    const Result<> read =
        ReadShardLog(files, kPath, frames_, [&count](const Stamp&, const Follow&) -> Result<> {
          ++count;
          return {};
        });
    EXPECT_TRUE(read.ok() || synced < 2) << seed << ": " << read.error().message;
    EXPECT_TRUE(!read.ok() || count >= synced) << seed;
  }
}

LogAnswer AnswerOf(LogDesk& desk, const LogRequest& request) {
  LogAnswer last;
  desk.Do(request, [&last](LogAnswer answer) -> Result<> {
    last = std::move(answer);
    return {};
  });
  return last;
}

TEST(LogDeskTest, LeavesAFileThatFailedAndBeginsAnother) {
  MemoryFiles files(3);
  FramePool frames(FramePool::Memory::kPrivate);
  LogDesk desk(files, "a/b", ShardId{4}, frames);
  const auto read = std::get<LogRead>(AnswerOf(desk, ReadLog{}));
  EXPECT_EQ(read.place, "a/b/shard-4.log");
  EXPECT_EQ(read.result.error().code, ErrorCode::kUnavailable);
  EXPECT_TRUE(std::get<LogWritten>(AnswerOf(desk, LogBatch{1, true, false, kStamp, {ItemOf(1)}}))
                  .bytes.ok());
  files.FailSyncAfter(1);
  EXPECT_FALSE(
      std::get<LogWritten>(AnswerOf(desk, LogBatch{1, false, true, kStamp, {}})).bytes.ok());
  EXPECT_FALSE(
      std::get<LogWritten>(AnswerOf(desk, LogBatch{1, false, true, kStamp, {}})).bytes.ok())
      << "it takes nothing more";
  EXPECT_TRUE(std::get<LogWritten>(AnswerOf(desk, LogBatch{2, true, true, kStamp, {ItemOf(1)}}))
                  .bytes.ok());
  EXPECT_TRUE(std::get<LogRead>(AnswerOf(desk, ReadLog{})).result.ok());
}

// Somebody has tidied up: what comes now nobody would find again.
TEST(LogDeskTest, LeavesAFileThatWasRemovedAndBeginsAnother) {
  MemoryFiles files(4);
  FramePool frames(FramePool::Memory::kPrivate);
  LogDesk desk(files, "a/b", ShardId{4}, frames);
  const auto write = [&](const LogBatch& batch) {
    return std::get<LogWritten>(AnswerOf(desk, batch)).bytes;
  };
  ASSERT_TRUE(write({1, true, true, kStamp, {ItemOf(1)}}).ok());
  ASSERT_TRUE(write({1, false, false, kStamp, {ItemOf(2)}}).ok());
  ASSERT_TRUE(files.RemoveFile("a/b/shard-4.log").ok());
  const Result<uint64_t> lost = write({1, false, false, kStamp, {ItemOf(3)}});
  ASSERT_FALSE(lost.ok());
  EXPECT_NE(lost.error().message.find("removed"), std::string::npos) << lost.error().message;
  EXPECT_TRUE(write({2, true, true, kStamp, {ItemOf(1)}}).ok());
}

Stamp StampIn(LogDesk& desk) {
  Stamp stamp;
  desk.Do(ReadLog{}, [&stamp](LogAnswer answer) -> Result<> {
    if (const auto* item = std::get_if<LogItem>(&answer)) stamp = item->stamp;
    return {};
  });
  return stamp;
}

// The coordinator has written down whose log it was; another would be none of the job's.
TEST(LogDeskTest, FindsAfterAPowerCutTheLogThatItHasFoundBefore) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    MemoryFiles files(seed);
    FramePool frames(FramePool::Memory::kPrivate);
    Stamp later = kStamp;
    later.term = kStamp.term.Next();
    LogDesk desk(files, "logs", ShardId{4}, frames);
    AnswerOf(desk, LogBatch{1, true, true, kStamp, {ItemOf(1)}});
    LogDesk other(files, "other", ShardId{4}, frames);
    AnswerOf(other, LogBatch{1, true, true, later, {ItemOf(1)}});
    // As by a process that ends before it has the name on disk.
    ASSERT_TRUE(files.Rename("other/shard-4.log", "logs/shard-4.log").ok());
    EXPECT_EQ(StampIn(desk), later);
    files.Restart();
    EXPECT_EQ(StampIn(desk), later) << seed;
  }
}

}  // namespace
}  // namespace shardmill
