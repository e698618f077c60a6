#include "common/timeline/timeline.h"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>
#include <string>

#include "common/json/json.h"

namespace shardmill {
namespace {

class TickingClock final : public Clock {
 public:
  TimePoint Now() const override { return now_ += std::chrono::microseconds(1); }

 private:
  mutable TimePoint now_{std::chrono::seconds(5)};
};

std::string FreshFolder() {
  return testing::TempDir() + "/" + testing::UnitTest::GetInstance()->current_test_info()->name();
}

JsonValue EventsOf(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  const Result<JsonValue> json = ParseJson(text.str());
  EXPECT_TRUE(json.ok()) << text.str();
  const JsonValue* events = json.ok() ? json.value().Find("traceEvents") : nullptr;
  EXPECT_NE(events, nullptr) << text.str();
  return events == nullptr ? JsonValue{} : *events;
}

// "f answer pull": what an event is, where it is one of a pair.
std::string KindOf(const JsonValue& event) {
  return event.Find("ph")->text + " " + event.Find("cat")->text + " " + event.Find("name")->text;
}

TEST(TimelineTest, WritesItsPartWhenItGoes) {
  const TickingClock clock;
  const Log log("test", LogLevel::kError);
  {
    auto timeline = Timeline::Make(FreshFolder(), TimelineProcess::Server(1), clock, log);
    ASSERT_TRUE(timeline.ok()) << timeline.error().message;
    TimelineLane& lane = timeline.value()->AddLane("shard 3");
    TimelineSpan span(&lane, "settle");
    span.Say("version", 9);
    span.Say("table", "w\"1\"");
    const TimelineSpan inner(&lane, "apply");
  }
  const JsonValue events = EventsOf(FreshFolder() + "/server-1.json");
  ASSERT_EQ(events.items.size(), 5U);
  const JsonValue& process = events.items[0];
  EXPECT_EQ(process.Find("name")->text, "process_name");
  EXPECT_EQ(process.Find("args")->Find("name")->text, "server 1");
  EXPECT_EQ(process.Find("args")->Find(kBeganKey)->whole, 5'000'001'000U);
  const JsonValue& thread = events.items[2];
  EXPECT_EQ(thread.Find("name")->text, "thread_name");
  EXPECT_EQ(thread.Find("args")->Find("name")->text, "shard 3");
  EXPECT_EQ(thread.Find("args")->Find(kLostKey)->whole, 0U);
  const JsonValue& span = events.items[3];
  EXPECT_EQ(span.Find("ph")->text, "X");
  EXPECT_EQ(span.Find("name")->text, "settle");
  EXPECT_EQ(span.Find("ts")->number, 1);
  EXPECT_EQ(span.Find("dur")->number, 3);
  EXPECT_EQ(span.Find("args")->Find("version")->whole, 9U);
  EXPECT_EQ(span.Find("args")->Find("table")->text, "w\"1\"");
  EXPECT_EQ(events.items[4].Find("name")->text, "apply");
}

TEST(TimelineTest, WritesARequestAsArrowsAndAState) {
  const TickingClock clock;
  const Log log("test", LogLevel::kError);
  {
    auto timeline = Timeline::Make(FreshFolder(), TimelineProcess::Worker(0), clock, log);
    ASSERT_TRUE(timeline.ok()) << timeline.error().message;
    TimelineLane& lane = timeline.value()->AddLane("trainer");
    for (const TimelineKind kind : {TimelineKind::kAsks, TimelineKind::kTakes,
                                    TimelineKind::kAnswers, TimelineKind::kHears}) {
      lane.Mark(kind, "pull", ~uint64_t{0});
    }
  }
  const JsonValue events = EventsOf(FreshFolder() + "/worker-0.json");
  std::string kinds;
  for (size_t i = 3; i < events.items.size(); ++i) {
    kinds += KindOf(events.items[i]) + "\n";
    EXPECT_EQ(events.items[i].Find("id")->text, "0xffffffffffffffff");
  }
  EXPECT_EQ(kinds,
            "s request pull\nb network pull\nf request pull\ns answer pull\nf answer pull\n"
            "e network pull\n");
}

TEST(TimelineTest, FolderThatCannotBeMadeIsNamed) {
  const TickingClock clock;
  const Log log("test", LogLevel::kError);
  const auto timeline = Timeline::Make("/dev/null/x", TimelineProcess::Worker(0), clock, log);
  ASSERT_FALSE(timeline.ok());
  EXPECT_NE(timeline.error().message.find("see trace.timeline"), std::string::npos);
}

}  // namespace
}  // namespace shardmill
