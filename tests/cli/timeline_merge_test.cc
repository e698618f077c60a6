#include "cli/timeline_merge.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "common/json/json.h"

namespace shardmill {
namespace {

std::string Folder() {
  const std::string folder =
      testing::TempDir() + "/" + testing::UnitTest::GetInstance()->current_test_info()->name();
  std::filesystem::create_directories(folder);
  return folder;
}

std::string Head(const std::string& process, uint64_t began_ns) {
  return R"({"name":"process_name","ph":"M","pid":1,"tid":0,"args":{"name":")" + process +
         R"(","began_ns":)" + std::to_string(began_ns) + "}}";
}

std::string Tied(const std::string& phase, const std::string& id, const std::string& microseconds) {
  const std::string category = phase == "s" || phase == "f" ? "request" : "state";
  return R"({"name":"pull","ph":")" + phase + R"(","pid":1,"tid":1,"cat":")" + category +
         R"(","id":")" + id + R"(","ts":)" + microseconds + "}";
}

void WritePart(const TimelineProcess& process, const std::vector<std::string>& events,
               const std::string& end = "\n]}\n") {
  std::ofstream file(Folder() + "/" + process.FileName());
  file << "{\"traceEvents\":[";
  for (size_t i = 0; i < events.size(); ++i) file << (i == 0 ? "\n" : ",\n") << events[i];
  file << end;
}

const std::vector<TimelineProcess> kTwo = {TimelineProcess::Worker(0), TimelineProcess::Server(0)};

// Each event of the merged file that has a time, as "PHASE ID TIME".
std::vector<std::string> Merged() {
  std::ostringstream text;
  text << std::ifstream(Folder() + "/out.json").rdbuf();
  const Result<JsonValue> json = ParseJson(text.str());
  EXPECT_TRUE(json.ok()) << text.str();
  std::vector<std::string> events;
  if (!json.ok()) return events;
  for (const JsonValue& event : json.value().Find("traceEvents")->items) {
    if (event.Find("ts") == nullptr) continue;
    std::ostringstream words;
    words << event.Find("ph")->text << " " << event.Find("id")->text << " "
          << event.Find("ts")->number;
    events.push_back(words.str());
  }
  return events;
}

TEST(TimelineMergeTest, PutsAllPartsUnderOneClock) {
  WritePart(kTwo[0], {Head("worker 0", 4'000'002'500), Tied("s", "0x1", "10")});
  WritePart(kTwo[1], {Head("server 0", 4'000'000'000), Tied("f", "0x1", "20.125")});
  const auto merged = MergeTimeline(Folder(), kTwo, Folder() + "/out.json");
  ASSERT_TRUE(merged.ok()) << merged.error().message;
  EXPECT_EQ(Merged(), (std::vector<std::string>{"s 0x1 12.5", "f 0x1 20.125"}));
  EXPECT_EQ(merged.value().events, 4U);
  EXPECT_TRUE(merged.value().absent.empty());
  EXPECT_TRUE(merged.value().cut_off.empty());
}

TEST(TimelineMergeTest, LeavesOutWhatHasNoOtherEndAndWhatIsSaidAgain) {
  WritePart(kTwo[0], {Head("worker 0", 1'000), Tied("e", "0x7", "1"), Tied("b", "0x8", "2"),
                      Tied("b", "0x8", "3"), Tied("e", "0x8", "4"), Tied("e", "0x8", "5"),
                      Tied("s", "0x1", "6"), Tied("s", "0x2", "7"), Tied("s", "0x2", "8")});
  WritePart(kTwo[1], {Head("server 0", 1'000), Tied("f", "0x2", "9"), Tied("f", "0x2", "10"),
                      Tied("f", "0x3", "11")});
  ASSERT_TRUE(MergeTimeline(Folder(), kTwo, Folder() + "/out.json").ok());
  EXPECT_EQ(Merged(), (std::vector<std::string>{"b 0x8 2", "e 0x8 4", "s 0x2 7", "f 0x2 9"}));
}

TEST(TimelineMergeTest, SaysWhatIsNotThere) {
  WritePart(kTwo[1],
            {Head("server 0", 1'000),
             R"({"name":"thread_name","ph":"M","pid":1,"tid":1,"args":{"lost_events":12}})",
             Tied("b", "0x8", "2")},
            ",\n{\"name\":\"pul");
  const auto merged = MergeTimeline(Folder(), kTwo, Folder() + "/out.json");
  ASSERT_TRUE(merged.ok()) << merged.error().message;
  EXPECT_EQ(Merged(), (std::vector<std::string>{"b 0x8 2"}));
  EXPECT_EQ(Describe(merged.value()),
            "3 events; open it in ui.perfetto.dev; 12 earlier events did not fit and are not "
            "there; worker 0 left none; that of server 0 is cut off");
}

std::string Span(const std::string& name, int begin, int duration) {
  return R"({"name":")" + name + R"(","ph":"X","pid":1,"tid":1,"id":"","ts":)" +
         std::to_string(begin) + R"(,"dur":)" + std::to_string(duration) + "}";
}

TEST(TimelineMergeTest, SaysForWhichShareOfItsStepsAWorkerWaited) {
  WritePart(kTwo[0],
            {Head("worker 0", 1'000), Span("wait for pull", 1, 50), Span("wait for pull", 110, 3),
             Span("compute", 105, 60), Span("wait for end of step", 170, 20), Span("step", 100, 90),
             Span("wait for pull", 200, 500), Span("step", 800, 100),
             Span("wait for end of step", 850, 50)});
  WritePart(kTwo[1], {Head("server 0", 1'000)});
  const auto merged = MergeTimeline(Folder(), kTwo, Folder() + "/out.json");
  ASSERT_TRUE(merged.ok()) << merged.error().message;
  EXPECT_EQ(Describe(merged.value()),
            "10 events; open it in ui.perfetto.dev; worker 0 waited for 38.4 % of its steps");
}

TEST(TimelineMergeTest, FileThatCannotBeWrittenIsNamed) {
  const Result<> checked = CheckTimelineFile("/dev/null/out.json");
  ASSERT_FALSE(checked.ok());
  EXPECT_NE(checked.error().message.find("/dev/null/out.json"), std::string::npos);
  EXPECT_FALSE(MergeTimeline(Folder(), kTwo, "/dev/null/out.json").ok());
}

}  // namespace
}  // namespace shardmill
