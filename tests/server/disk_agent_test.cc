#include "server/disk_agent.h"

#include <gtest/gtest.h>
#include <poll.h>

#include <optional>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

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

std::vector<DiskDesk> DesksFor(BlobStore& store, size_t shards) {
  std::vector<DiskDesk> desks;
  for (size_t i = 0; i < shards; ++i) desks.emplace_back(store, "job");
  return desks;
}

void Ask(DiskAgent::Line& line, DiskRequest request) {
  while (!line.TryAsk(request)) std::this_thread::yield();
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
  DiskAgent agent(DesksFor(store, 2));
  DiskAgent::Line first = agent.LineOf(0);
  DiskAgent::Line second = agent.LineOf(1);
  Ask(first, HeadOf(3));
  Ask(first, FileEnd{3});
  Ask(second, LoadTables{1, 8, ShardId{1}, {}});
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
  DiskAgent agent(DesksFor(store, 1));
  DiskAgent::Line line = agent.LineOf(0);
  files.FailSyncAfter(1);
  Ask(line, HeadOf(1));
  Ask(line, FileEnd{1});
  EXPECT_FALSE(std::get<FileWritten>(AnswerOf(line)).file.ok());
  Ask(line, HeadOf(2));
  Ask(line, FileEnd{2});
  const DiskAnswer second = AnswerOf(line);
  EXPECT_TRUE(std::get<FileWritten>(second).file.ok());
  EXPECT_EQ(std::get<FileWritten>(second).snapshot, 2U);
}

TEST(DiskAgentTest, NothingComesOfWhatAShardAskedBeforeItBeganAnew) {
  MemoryFiles files(1);
  FolderStore store(files, "disk");
  DiskAgent agent(DesksFor(store, 1));
  DiskAgent::Line line = agent.LineOf(0);
  Ask(line, LoadTables{1, 8, ShardId{0}, {}});
  Ask(line, HeadOf(3));
  line.BeginAnew();
  Ask(line, LoadTables{2, 9, ShardId{0}, {}});
  const DiskAnswer answer = AnswerOf(line);
  ASSERT_TRUE(std::holds_alternative<TablesLoaded>(answer));
  EXPECT_EQ(std::get<TablesLoaded>(answer).load, 2U);
}

TEST(DiskAgentTest, LetsAShardGoOnWhoseDiskTheOthersHaveFilled) {
  MemoryFiles files(1);
  FolderStore store(files, "disk");
  DiskAgent agent(DesksFor(store, 2));
  DiskAgent::Line first = agent.LineOf(0);
  DiskAgent::Line second = agent.LineOf(1);
  // Nobody takes the answers: four lie in their box, one waits for it, and four requests in theirs.
  for (uint64_t load = 1; load <= 9; ++load) Ask(first, LoadTables{load, 8, ShardId{0}, {}});
  DiskRequest request = LoadTables{1, 9, ShardId{1}, {}};
  EXPECT_FALSE(second.TryAsk(request));
  EXPECT_EQ(std::get<LoadTables>(request).snapshot, 9U) << "it is still there to be asked again";
  while (!second.TryAsk(request)) AnswerOf(first);
}

TEST(DiskAgentTest, WakesAShardForWhoseRequestThereWasNoRoom) {
  MemoryFiles files(1);
  FolderStore store(files, "disk");
  DiskAgent agent(DesksFor(store, 2));
  DiskAgent::Line first = agent.LineOf(0);
  DiskAgent::Line second = agent.LineOf(1);
  for (uint64_t load = 1; load <= 9; ++load) Ask(first, LoadTables{load, 8, ShardId{0}, {}});
  DiskRequest request = LoadTables{1, 9, ShardId{1}, {}};
  EXPECT_FALSE(second.TryAsk(request));
  AnswerOf(first);
  pollfd file{second.wake_file(), POLLIN, 0};
  // It may be woken once more than there is room: for what was taken just before it had to wait.
  for (bool taken = false; !taken;) {
    ASSERT_EQ(poll(&file, 1, 60'000), 1);
    EXPECT_FALSE(second.NextAnswer());
    taken = second.TryAsk(request);
  }
}

TEST(DiskAgentTest, WakesWhoAwaitsAnAnswer) {
  MemoryFiles files(1);
  FolderStore store(files, "disk");
  DiskAgent agent(DesksFor(store, 1));
  DiskAgent::Line line = agent.LineOf(0);
  EXPECT_FALSE(line.AwaitAnswer(std::chrono::milliseconds(1)));
  Ask(line, LoadTables{1, 8, ShardId{0}, {}});
  EXPECT_TRUE(line.AwaitAnswer(std::chrono::minutes(1)));
}

TEST(DiskAgentTest, HasAFileThatCanBeReadWhenThereIsAnAnswer) {
  MemoryFiles files(1);
  FolderStore store(files, "disk");
  DiskAgent agent(DesksFor(store, 1));
  DiskAgent::Line line = agent.LineOf(0);
  pollfd file{line.wake_file(), POLLIN, 0};
  EXPECT_EQ(poll(&file, 1, 0), 0);
  Ask(line, LoadTables{1, 8, ShardId{0}, {}});
  EXPECT_EQ(poll(&file, 1, 60'000), 1);
  EXPECT_TRUE(line.NextAnswer());
  EXPECT_EQ(poll(&file, 1, 0), 0);
}

TEST(DiskAgentTest, EndsWithoutATraceOfWhatWasUnderWay) {
  MemoryFiles files(1);
  FolderStore store(files, "disk");
  {
    DiskAgent agent(DesksFor(store, 1));
    DiskAgent::Line line = agent.LineOf(0);
    for (uint64_t snapshot = 1; snapshot <= 3; ++snapshot) Ask(line, HeadOf(snapshot));
  }
  EXPECT_TRUE(store.List("").value().empty());
}

}  // namespace
}  // namespace shardmill
