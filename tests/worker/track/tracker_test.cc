#include "worker/track/tracker.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace shardmill {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> LinesOf(const std::string& path) {
  std::vector<std::string> lines;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  return lines;
}

std::string FolderOfTest() {
  const char* name = testing::UnitTest::GetInstance()->current_test_info()->name();
  return testing::TempDir() + "/" + name;
}

TEST(TrackerTest, WritesALineForEachPointAndGoesOnWhereAnotherProcessWas) {
  const std::string folder = FolderOfTest();
  auto first = Tracker::Make(folder, "worker-0", 1000.5);
  ASSERT_TRUE(first.ok()) << first.error().message;
  ASSERT_TRUE(first.value()->Write(1001, {20, 1, 0.5, 1280, {{"loss", 0.25}}}).ok());
  first.value().reset();
  auto second = Tracker::Make(folder, "worker-0", 1002);
  ASSERT_TRUE(second.value()->Write(1003, {40, 2, 0.75, 2560, {{"loss", 0.125}}}).ok());
  const std::vector<std::string> lines = LinesOf(folder + "/worker-0.jsonl");
  ASSERT_EQ(lines.size(), 2U);
  EXPECT_EQ(
      lines[0],
      R"({"time":1001,"step":20,"epoch":1,"seconds":0.5,"samples":1280,"values":{"loss":0.25}})");
  EXPECT_EQ(
      lines[1],
      R"({"time":1003,"step":40,"epoch":2,"seconds":0.75,"samples":2560,"values":{"loss":0.125}})");
}

// The reader in tests/worker/track/read_events.py goes by the format's rules alone.
TEST(TrackerTest, WritesEventsThatAnIndependentReaderReads) {
  const std::string folder = FolderOfTest();
  {
    auto tracker = Tracker::Make(folder, "worker-1", 1700000000.25);
    ASSERT_TRUE(tracker.ok()) << tracker.error().message;
    ASSERT_TRUE(
        tracker.value()->Write(1700000001.5, {300, 1, 1, 1, {{"loss", 0.25}, {"lr", 0.5}}}).ok());
  }
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(folder + "/worker-1")) files.push_back(entry);
  ASSERT_EQ(files.size(), 1U);
  EXPECT_EQ(files[0].filename().string().find("events.out.tfevents.1700000000."), 0U);
  const std::string out = folder + "/events";
  const std::string command =
      "python3 tests/worker/track/read_events.py '" + files[0].string() + "' > '" + out + "'";
  ASSERT_EQ(std::system(command.c_str()), 0);
  const std::vector<std::string> events = LinesOf(out);
  ASSERT_EQ(events.size(), 2U);
  EXPECT_EQ(events[0], R"({"values": {}, "time": 1700000000.25, "version": "brain.Event:2"})");
  EXPECT_EQ(events[1],
            R"({"values": {"loss": 0.25, "lr": 0.5}, "time": 1700000001.5, "step": 300})");
}

TEST(TrackerTest, SaysWhereItCannotWrite) {
  const auto tracker = Tracker::Make("/proc/nowhere", "worker-0", 1);
  ASSERT_FALSE(tracker.ok());
  EXPECT_NE(tracker.error().message.find("/proc/nowhere/worker-0"), std::string::npos);
}

TEST(TrackerTest, SaysThatADiskIsFull) {
  const std::string folder = FolderOfTest();
  fs::create_directories(folder);
  fs::create_symlink("/dev/full", folder + "/worker-0.jsonl");
  auto tracker = Tracker::Make(folder, "worker-0", 1);
  ASSERT_TRUE(tracker.ok()) << tracker.error().message;
  const Result<> written = tracker.value()->Write(2, {1, 0, 0, 0, {}});
  ASSERT_FALSE(written.ok());
  EXPECT_NE(written.error().message.find("worker-0.jsonl"), std::string::npos);
  fs::create_symlink("/dev/full", folder + "/worker-0.computed.json");
  EXPECT_FALSE(tracker.value()->WriteComputed("{}").ok());
}

}  // namespace
}  // namespace shardmill
