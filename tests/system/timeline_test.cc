// Traced runs: what their timelines show.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "cli/run_folder.h"
#include "common/json/json.h"
#include "tests/system/launch.h"

namespace shardmill {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::milliseconds kPatience{60000};
constexpr uint64_t kSteps = 50;  // Of an epoch of the small job.

struct Event {
  std::string phase;
  std::string name;
  std::string tie;     // Category, name and id, of what is tied.
  std::string thread;  // "worker 0 trainer".
  int64_t begin = 0;   // In nanoseconds.
  int64_t end = 0;
  JsonValue facts;

  uint64_t Fact(const char* key) const {
    const JsonValue* fact = facts.Find(key);
    return fact == nullptr ? ~uint64_t{0} : fact->whole;
  }
};

JsonValue ReadJson(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  Result<JsonValue> json = ParseJson(text.str());
  EXPECT_TRUE(json.ok()) << path << ": " << text.str().substr(0, 1000);
  return json.ok() ? std::move(json).value() : JsonValue{};
}

std::string TextOf(const JsonValue& json, const char* key) {
  const JsonValue* value = json.Find(key);
  return value == nullptr ? "" : value->text;
}

int64_t Nanoseconds(const JsonValue& json, const char* key) {
  const JsonValue* value = json.Find(key);
  return value == nullptr ? 0 : std::llround(value->number * 1000);
}

// The events of the file, without those that name processes and threads.
std::vector<Event> EventsOf(const std::string& path) {
  const JsonValue json = ReadJson(path);
  const JsonValue* list = json.Find("traceEvents");
  EXPECT_NE(list, nullptr);
  if (list == nullptr) return {};
  std::map<uint64_t, std::string> processes;
  std::map<std::pair<uint64_t, uint64_t>, std::string> threads;
  std::vector<Event> events;
  for (const JsonValue& one : list->items) {
    const uint64_t process = one.Find("pid")->whole;
    const uint64_t thread = one.Find("tid")->whole;
    const JsonValue* facts = one.Find("args");
    if (TextOf(one, "name") == "process_name") processes[process] = TextOf(*facts, "name");
    if (TextOf(one, "name") == "thread_name") {
      threads[{process, thread}] = processes[process] + " " + TextOf(*facts, "name");
    }
    if (TextOf(one, "ph") == "M") continue;
    Event event;
    event.phase = TextOf(one, "ph");
    event.name = TextOf(one, "name");
    event.tie = TextOf(one, "cat") + " " + event.name + " " + TextOf(one, "id");
    event.thread = threads[{process, thread}];
    event.begin = Nanoseconds(one, "ts");
    event.end = event.begin + Nanoseconds(one, "dur");
    if (facts != nullptr) event.facts = *facts;
    events.push_back(std::move(event));
  }
  return events;
}

// Trains the small job with two workers and two shards. Returns the events of its timeline.
std::vector<Event> Traced(std::vector<std::string> settings = {}) {
  const std::string out = TestFolder() + "/out.json";
  std::vector<std::string> arguments{"--quiet", "--trace", out};
  for (std::string& setting : settings) {
    arguments.emplace_back("--set");
    arguments.push_back(std::move(setting));
  }
  const auto train = LaunchTrain(WriteJob(1), std::move(arguments));
  EXPECT_EQ(train->Wait(kPatience), ExitStatus{}) << OutputOf("train");
  EXPECT_NE(OutputOf("train").find("timeline in " + out), std::string::npos) << OutputOf("train");
  EXPECT_EQ(OutputOf("train").find("left none"), std::string::npos) << OutputOf("train");
  EXPECT_NE(OutputOf("train").find("worker 1 waited for "), std::string::npos) << OutputOf("train");
  EXPECT_EQ(OutputOf("train").find(" waited for 0.0 %"), std::string::npos) << OutputOf("train");
  return EventsOf(out);
}

std::vector<Event> SpansOf(const std::vector<Event>& events, const std::string& thread,
                           const std::set<std::string>& names = {}) {
  std::vector<Event> spans;
  for (const Event& event : events) {
    const bool wanted = names.empty() || names.contains(event.name);
    if (event.phase == "X" && event.thread == thread && wanted) spans.push_back(event);
  }
  // The outer one of two that begin together comes first.
  std::ranges::sort(spans, [](const Event& a, const Event& b) {
    return std::pair(a.begin, -a.end) < std::pair(b.begin, -b.end);
  });
  return spans;
}

std::set<std::string> ThreadsOf(const std::vector<Event>& events) {
  std::set<std::string> threads;
  for (const Event& event : events) threads.insert(event.thread);
  return threads;
}

const std::set<std::string> kThreads = {"worker 0 trainer", "worker 1 trainer", "server 0 shard 0",
                                        "server 0 shard 1"};

void ExpectNested(const std::vector<Event>& events, const std::string& thread) {
  std::vector<Event> around;
  for (const Event& span : SpansOf(events, thread)) {
    EXPECT_GE(span.begin, 0);
    EXPECT_LE(span.begin, span.end) << span.name;
    while (!around.empty() && around.back().end <= span.begin) around.pop_back();
    if (!around.empty()) {
      EXPECT_LE(span.end, around.back().end)
          << thread << ": " << span.name << " overlaps with " << around.back().name;
    }
    around.push_back(span);
  }
}

// The span of the thread that is open at the time of an event, the innermost; empty if none is.
std::string SpanAround(const std::vector<Event>& spans, int64_t time) {
  std::string name;
  for (const Event& span : spans) {
    if (span.begin <= time && time <= span.end) name = span.name;
  }
  return name;
}

TEST(TimelineTest, ShowsEveryWorkerAndShardInSpansThatNest) {
  const std::vector<Event> events = Traced();
  EXPECT_EQ(ThreadsOf(events), kThreads);
  for (const std::string& thread : kThreads) ExpectNested(events, thread);
  for (const char* worker : {"worker 0 trainer", "worker 1 trainer"}) {
    for (const char* name :
         {"read batch", "compute", "push", "end of step", "wait for end of step"}) {
      EXPECT_GE(SpansOf(events, worker, {name}).size(), kSteps) << worker << ": " << name;
    }
  }
  for (const char* shard : {"server 0 shard 0", "server 0 shard 1"}) {
    EXPECT_GE(SpansOf(events, shard, {"hold push"}).size(), 2 * kSteps) << shard;
    EXPECT_GE(SpansOf(events, shard, {"take end of step"}).size(), 2 * kSteps) << shard;
    const std::vector<Event> applied = SpansOf(events, shard, {"apply"});
    EXPECT_GE(applied.size(), kSteps) << shard;
    for (const Event& one : applied) {
      EXPECT_EQ(one.Fact("steps"), 2U);
      EXPECT_GT(one.Fact("bytes"), 0U);
      EXPECT_NE(TextOf(one.facts, "table"), "");
      EXPECT_LE(one.Fact("last_worker"), 1U);
    }
    EXPECT_FALSE(SpansOf(events, shard, {"install view"}).empty());
  }
}

TEST(TimelineTest, ArrowsGoFromAWorkersStepToTheShardAndBack) {
  const std::vector<Event> events = Traced();
  std::map<std::string, std::vector<Event>> spans;
  for (const std::string& thread : kThreads) spans[thread] = SpansOf(events, thread);
  std::map<std::string, std::vector<const Event*>> arrows;
  std::map<std::string, int> states;
  for (const Event& event : events) {
    if (event.phase == "s" || event.phase == "f") arrows[event.tie].push_back(&event);
    if (event.phase == "b") ++states[event.tie];
    if (event.phase == "e") {
      EXPECT_EQ(--states[event.tie], 0) << event.tie;
    }
  }
  std::map<std::string, int> seen;  // "request end: end of step > take end of step".
  for (const auto& [tie, ends] : arrows) {
    ASSERT_EQ(ends.size(), 2U) << tie;
    const Event& from = ends[0]->phase == "s" ? *ends[0] : *ends[1];
    const Event& to = ends[0]->phase == "s" ? *ends[1] : *ends[0];
    ASSERT_EQ(from.phase + to.phase, "sf") << tie;
    EXPECT_LE(from.begin, to.begin) << tie;
    const std::string begins_in = SpanAround(spans[from.thread], from.begin);
    const std::string ends_in = SpanAround(spans[to.thread], to.begin);
    EXPECT_NE(begins_in, "") << tie;
    ++seen[tie.substr(0, tie.rfind(' ')) + ": " + ends_in];
  }
  // Two workers' steps, on two shards.
  EXPECT_EQ(seen["request end: take end of step"], 4 * static_cast<int>(kSteps));
  EXPECT_EQ(seen["answer end: wait for end of step"], 4 * static_cast<int>(kSteps));
  EXPECT_EQ(seen["follows apply: apply"], 4 * static_cast<int>(kSteps));
  EXPECT_GE(seen["request push: hold push"], 4 * static_cast<int>(kSteps));
  EXPECT_GE(seen["request pull: take pull"], 4 * static_cast<int>(kSteps));
}

TEST(TimelineTest, ShowsEachStepOnceAndWhereItsTimeWent) {
  const std::vector<Event> events = Traced();
  for (const char* worker : {"worker 0 trainer", "worker 1 trainer"}) {
    const std::vector<Event> steps = SpansOf(events, worker, {"step"});
    ASSERT_EQ(steps.size(), kSteps) << worker;
    for (uint64_t i = 0; i < steps.size(); ++i) {
      EXPECT_EQ(steps[i].Fact("step"), i + 1) << worker;
    }
    const int64_t wall = steps.back().end - steps.front().begin;
    int64_t told = 0;
    const std::vector<Event> parts =
        SpansOf(events, worker,
                {"read batch", "compute", "push", "ask for pull", "wait for pull", "end of step",
                 "wait for end of step"});
    for (const Event& part : parts) {
      if (part.begin >= steps.front().begin && part.end <= steps.back().end) {
        told += part.end - part.begin;
      }
    }
    EXPECT_GE(static_cast<double>(told), 0.9 * static_cast<double>(wall)) << worker;
  }
}

// Spans of that name that lie in one of the others.
int CountIn(const std::vector<Event>& outer, const std::vector<Event>& inner) {
  int count = 0;
  for (const Event& span : inner) {
    count += static_cast<int>(std::ranges::count_if(outer, [&span](const Event& around) {
      return around.begin <= span.begin && span.end <= around.end;
    }));
  }
  return count;
}

TEST(TimelineTest, GradientsLeaveAndParametersComeWhileABatchIsComputed) {
  const std::string worker = "worker 0 trainer";
  const std::vector<Event> events = Traced();
  const std::vector<Event> computes = SpansOf(events, worker, {"compute"});
  EXPECT_EQ(CountIn(computes, SpansOf(events, worker, {"push"})), 2 * static_cast<int>(kSteps));
  EXPECT_GE(CountIn(computes, SpansOf(events, worker, {"wait for pull"})), 1);
}

TEST(TimelineTest, ABatchHasItsTimeToItselfWhereNothingOverlaps) {
  const std::string worker = "worker 0 trainer";
  for (const char* setting : {"train.overlap=false", "optimizer.clip_norm=1"}) {
    const std::vector<Event> events = Traced({setting});
    const std::vector<Event> computes = SpansOf(events, worker, {"compute"});
    const std::vector<Event> pushes = SpansOf(events, worker, {"push"});
    EXPECT_EQ(pushes.size(), 2 * kSteps) << setting;
    EXPECT_EQ(CountIn(computes, pushes), 0) << setting;
  }
}

TEST(TimelineTest, ShowsPullsThatAreParkedForASlowerWorker) {
  const std::vector<Event> events = Traced({"policy.mode=stale", "policy.staleness=0"});
  uint64_t parked = 0;
  for (const Event& event : events) {
    if (event.phase != "b" || event.name != "parked pull") continue;
    ++parked;
    EXPECT_TRUE(event.thread.starts_with("server 0 shard ")) << event.thread;
    EXPECT_LE(event.Fact("worker"), 1U);
    EXPECT_LE(event.Fact("waits_for_worker"), 1U);
  }
  EXPECT_GT(parked, 0U);
}

TEST(TimelineTest, FolderOfTheJobFileIsWhereEachProcessWrites) {
  const std::string folder = TestFolder() + "/parts";
  const auto train = LaunchTrain(WriteJob(1), {"--quiet", "--set", "trace.timeline=" + folder});
  EXPECT_EQ(train->Wait(kPatience), ExitStatus{}) << OutputOf("train");
  EXPECT_EQ(ThreadsOf(EventsOf(folder + "/worker-1.json")),
            (std::set<std::string>{"worker 1 trainer"}));
  EXPECT_EQ(ThreadsOf(EventsOf(folder + "/server-0.json")),
            (std::set<std::string>{"server 0 shard 0", "server 0 shard 1"}));
}

TEST(TimelineTest, ShardThatKeepsATimelineIsRecordedAsWell) {
  const auto train =
      LaunchTrain(WriteJob(1), {"--quiet", "--record", "--trace", TestFolder() + "/out.json"});
  EXPECT_EQ(train->Wait(kPatience), ExitStatus{}) << OutputOf("train");
  const std::vector<std::string> runs = FindRuns(TestFolder() + "/runs");
  ASSERT_EQ(runs.size(), 1U);
  const auto audit = Launch("audit", "cli/shardmill", {"audit", runs.front()});
  EXPECT_EQ(audit->Wait(kPatience), ExitStatus{}) << OutputOf("audit");
}

TEST(TimelineTest, ARunThatIsStoppedLeavesItsTimelineToo) {
  const std::string out = TestFolder() + "/out.json";
  const auto train = LaunchTrain(WriteJob(100000), {"--quiet", "--trace", out});
  AwaitState(JobStatus::State::kTraining);
  train->Terminate();
  EXPECT_EQ(train->Wait(kPatience), (ExitStatus{.code = 130})) << OutputOf("train");
  EXPECT_EQ(OutputOf("train").find("left none"), std::string::npos) << OutputOf("train");
  EXPECT_NE(OutputOf("train").find("timeline in " + out), std::string::npos) << OutputOf("train");
  EXPECT_GT(fs::file_size(out), 0U);
}

TEST(TimelineTest, OutFileThatCannotBeWrittenIsNamedBeforeTheRun) {
  const auto train = LaunchTrain(WriteJob(1), {"--trace", "/dev/null/out.json"});
  EXPECT_EQ(train->Wait(kPatience), (ExitStatus{.code = 1})) << OutputOf("train");
  EXPECT_NE(OutputOf("train").find("see --trace"), std::string::npos) << OutputOf("train");
  EXPECT_FALSE(fs::exists(TestFolder() + "/runs") && !FindRuns(TestFolder() + "/runs").empty());
}

}  // namespace
}  // namespace shardmill
