#include "server/disk_agent.h"

#include <gtest/gtest.h>

#include <optional>
#include <thread>
#include <utility>
#include <variant>

#include "common/blob/folder_store.h"
#include "common/blob/memory_files.h"

namespace shardmill {
namespace {

constexpr JobId kJobId{5};

ShardHead HeadOf(uint64_t snapshot) {
  ShardHead head;
  head.job = kJobId;
  head.snapshot = snapshot;
  return head;
}

// The disk's thread has no clock to be told by: it is asked until it answers.
DiskAnswer AnswerOf(DiskAgent::Line& line) {
  while (true) {
    if (std::optional<DiskAnswer> answer = line.NextAnswer()) return std::move(*answer);
    std::this_thread::yield();
  }
}

TEST(DiskAgentTest, AnswersEachShardWhatItAsked) {
  MemoryFiles files(1);
  FolderStore store(files, "disk");
  DiskAgent agent(store, "job", 2);
  DiskAgent::Line first = agent.LineOf(0);
  DiskAgent::Line second = agent.LineOf(1);
  first.Ask(HeadOf(3));
  first.Ask(FileEnd{3});
  second.Ask(LoadTables{1, 8, ShardId{1}, {}});
  const DiskAnswer written = AnswerOf(first);
  ASSERT_TRUE(std::holds_alternative<FileWritten>(written));
  EXPECT_EQ(std::get<FileWritten>(written).snapshot, 3U);
  EXPECT_TRUE(std::get<FileWritten>(written).file.ok());
  const DiskAnswer loaded = AnswerOf(second);
  ASSERT_TRUE(std::holds_alternative<TablesLoaded>(loaded));
  EXPECT_FALSE(std::get<TablesLoaded>(loaded).version.ok()) << "there is no snapshot 8";
}

TEST(DiskAgentTest, SaysThatAFileDidNotReachTheDiskAndWritesTheNext) {
  MemoryFiles files(1);
  FolderStore store(files, "disk");
  DiskAgent agent(store, "job", 1);
  DiskAgent::Line line = agent.LineOf(0);
  files.FailSyncAfter(1);
  line.Ask(HeadOf(1));
  line.Ask(FileEnd{1});
  EXPECT_FALSE(std::get<FileWritten>(AnswerOf(line)).file.ok());
  line.Ask(HeadOf(2));
  line.Ask(FileEnd{2});
  const DiskAnswer second = AnswerOf(line);
  EXPECT_TRUE(std::get<FileWritten>(second).file.ok());
  EXPECT_EQ(std::get<FileWritten>(second).snapshot, 2U);
}

TEST(DiskAgentTest, EndsWithoutATraceOfWhatWasUnderWay) {
  MemoryFiles files(1);
  FolderStore store(files, "disk");
  {
    DiskAgent agent(store, "job", 1);
    DiskAgent::Line line = agent.LineOf(0);
    for (uint64_t snapshot = 1; snapshot <= 3; ++snapshot) line.Ask(HeadOf(snapshot));
  }
  EXPECT_TRUE(store.List("").value().empty());
}

}  // namespace
}  // namespace shardmill
