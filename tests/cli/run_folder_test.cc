#include "cli/run_folder.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <filesystem>

#include "cli/whole_file.h"

namespace shardmill {
namespace {

namespace fs = std::filesystem;

std::string Runs() {
  const testing::TestInfo* test = testing::UnitTest::GetInstance()->current_test_info();
  return testing::TempDir() + "/" + test->name();
}

TEST(RunFolderTest, IsNamedAfterTheJobAndTheTimeAndNeverShared) {
  const std::string first = MakeRunFolder(Runs(), "mine", "20261121T034100Z").value();
  const std::string second = MakeRunFolder(Runs(), "mine", "20261121T034100Z").value();
  EXPECT_EQ(first, Runs() + "/mine-20261121T034100Z");
  EXPECT_EQ(second, Runs() + "/mine-20261121T034100Z-2");
  EXPECT_TRUE(fs::is_directory(first));
  std::string shape = UtcStamp();
  std::replace_if(
      shape.begin(), shape.end(), [](char c) { return c >= '0' && c <= '9'; }, '9');
  EXPECT_EQ(shape, "99999999T999999Z");
}

TEST(RunFolderTest, SaysWhyItCannotBeMade) {
  ASSERT_TRUE(WriteTextFile(Runs(), "a file").ok());
  const Result<std::string> folder = MakeRunFolder(Runs() + "/runs", "mine", "now");
  ASSERT_FALSE(folder.ok());
  EXPECT_NE(folder.error().message.find("see job.runs"), std::string::npos);
}

TEST(RunFolderTest, NamesTheFolderThatIsNotThere) {
  const Result<> written = WriteTextFile(Runs() + "/none/a.csv", "text");
  ASSERT_FALSE(written.ok());
  EXPECT_EQ(written.error().code, ErrorCode::kBadUsage);
  EXPECT_EQ(written.error().message,
            Runs() + "/none/a.csv: the folder " + Runs() + "/none is not there");
}

TEST(RunFolderTest, KeepsItsRecord) {
  const std::string folder = MakeRunFolder(Runs(), "mine", "now").value();
  ASSERT_TRUE(WriteRunRecord(folder, {"mine", "a.toml", "tcp://a:1", "a:2"}).ok());
  const Result<RunRecord> record = ReadRunRecord(folder);
  ASSERT_TRUE(record.ok()) << record.error().message;
  EXPECT_EQ(record.value().file, "a.toml");
  EXPECT_EQ(record.value().coordinator, "tcp://a:1");
  EXPECT_EQ(record.value().http, "a:2");
  ASSERT_TRUE(WriteTextFile(folder + "/job.json", "no json").ok());
  EXPECT_FALSE(ReadRunRecord(folder).ok());
}

TEST(RunFolderTest, FindsTheNewestRunFirst) {
  EXPECT_TRUE(FindRuns(Runs()).empty());
  const std::string old_run = MakeRunFolder(Runs(), "z", "1").value();
  const std::string new_run = MakeRunFolder(Runs(), "a", "2").value();
  ASSERT_TRUE(MakeRunFolder(Runs(), "none", "3").ok());
  ASSERT_TRUE(WriteRunRecord(old_run, {}).ok());
  ASSERT_TRUE(WriteRunRecord(new_run, {}).ok());
  fs::last_write_time(old_run + "/job.json",
                      fs::last_write_time(new_run + "/job.json") - std::chrono::hours(1));
  EXPECT_EQ(FindRuns(Runs()), (std::vector<std::string>{new_run, old_run}));
}

TEST(RunFolderTest, FindsTheModelOfTheVeryJob) {
  const std::string fruit = MakeRunFolder(Runs(), "fruit", "20261121T034100Z").value();
  const std::string other = MakeRunFolder(Runs(), "fruit-2", "20261121T034100Z").value();
  for (const auto& [folder, name] : {std::pair(fruit, "fruit"), std::pair(other, "fruit-2")}) {
    ASSERT_TRUE(WriteRunRecord(folder, {.name = name}).ok());
  }
  ASSERT_TRUE(WriteTextFile(other + "/" + kModelFile, "its").ok());
  EXPECT_EQ(FindModelFile(Runs(), "fruit"), "");
  EXPECT_EQ(FindModelFile(Runs(), "fruit-2"), other + "/" + kModelFile);
  ASSERT_TRUE(WriteTextFile(fruit + "/" + kModelFile, "mine").ok());
  EXPECT_EQ(FindModelFile(Runs(), "fruit"), fruit + "/" + kModelFile);
}

TEST(WholeFileTest, LeavesNothingBehindUnlessItIsWhole) {
  const std::string path = Runs();
  ASSERT_TRUE(WriteTextFile(path, "before").ok());
  {
    WholeFile file(path);
    file.stream() << "half" << std::flush;
    EXPECT_TRUE(fs::exists(path + ".part"));
  }
  EXPECT_FALSE(fs::exists(path + ".part"));
  EXPECT_EQ(LastLines(path, 2), "  before\n");
  ASSERT_TRUE(WriteTextFile(path, "after").ok());
  EXPECT_EQ(LastLines(path, 2), "  after\n");
  EXPECT_FALSE(fs::exists(path + ".part"));
  const Result<> nowhere = WriteTextFile(path + "/file", "text");
  EXPECT_NE(nowhere.error().message.find("/file: cannot be written: "), std::string::npos);
}

TEST(WholeFileTest, SaysThatADiskIsFull) {
  for (const size_t bytes : {1, 100'000}) {  // Kept by the stream until its end, and not.
    const Result<> written = WriteTextFile("/dev/full", std::string(bytes, 'x'));
    ASSERT_FALSE(written.ok());
    EXPECT_EQ(written.error().message, "/dev/full: cannot be written: No space left on device");
  }
}

TEST(RunFolderTest, ReadsWhatTheJobsOwnWorkersComputed) {
  fs::create_directories(Runs());
  const auto write = [](const std::string& worker, const std::string& text) {
    ASSERT_TRUE(WriteTextFile(Runs() + "/" + worker + ".computed.json", text).ok());
  };
  write("worker-0", R"({"worker":0,"on":"a card"})");
  write("worker-1", R"({"worker":1,"on)");  // Its disk was full.
  write("worker-2", R"({"worker":2,"on":"the processor"})");
  write("worker-3", R"({"worker":3,"on":"a card"})");  // Of another job in the same folder.
  const std::vector<JsonValue> all = ReadComputed(Runs(), 3);
  ASSERT_EQ(all.size(), 2U);
  EXPECT_EQ(all[0].Find("on")->text, "a card");
  EXPECT_EQ(all[1].Find("on")->text, "the processor");
}

TEST(RunFolderTest, ShowsTheLastLinesOfALog) {
  const std::string path = Runs();
  ASSERT_TRUE(WriteTextFile(path, "1\n2\n3").ok());
  EXPECT_EQ(LastLines(path, 2), "  2\n  3\n");
  EXPECT_EQ(LastLines(path + "x", 2), "");
  EXPECT_EQ(LastLines(path, 3, "2"), "  3\n");
  EXPECT_EQ(LastLines(path, 2, "none"), "  2\n  3\n");
}

}  // namespace
}  // namespace shardmill
