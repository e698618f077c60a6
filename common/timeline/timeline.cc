#include "common/timeline/timeline.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "common/json/json.h"

namespace shardmill {
namespace {

// Writes the lines of one part.
class PartWriter final {
 public:
  PartWriter(std::ostream& out, uint32_t process, TimePoint began)
      : out_(out), process_(process), began_(began) {
    out_ << "{\"traceEvents\":[";
  }

  void Head(const TimelineProcess& process) {
    Begin("process_name", "M", 0);
    json_.Key("args").BeginObject().Key("name").Text(process.Name());
    const std::chrono::nanoseconds began = began_.time_since_epoch();
    json_.Key(kBeganKey).Whole(static_cast<uint64_t>(began.count())).EndObject();
    End();
    Begin("process_sort_index", "M", 0);
    json_.Key("args").BeginObject().Key("sort_index").Whole(process.number).EndObject();
    End();
  }

  void Lane(const TimelineLane& lane) {
    Begin("thread_name", "M", lane.number());
    json_.Key("args").BeginObject().Key("name").Text(lane.name());
    json_.Key(kLostKey).Whole(lane.lost()).EndObject();
    End();
    // Spans are added when they end; viewers want the outer one of two first.
    std::vector<const TimelineEvent*> events;
    lane.ForEach([&events](const TimelineEvent& event) { events.push_back(&event); });
    std::ranges::stable_sort(events, [](const TimelineEvent* a, const TimelineEvent* b) {
      return std::pair(a->begin, b->end) < std::pair(b->begin, a->end);
    });
    for (const TimelineEvent* event : events) Event(*event, lane.number());
  }

  void Close() { out_ << "\n]}\n"; }

 private:
  static double Microseconds(Duration time) {
    return static_cast<double>(std::chrono::nanoseconds(time).count()) / 1000;
  }

  void Event(const TimelineEvent& event, uint32_t lane) {
    switch (event.kind) {
      case TimelineKind::kSpan:
        return Span(event, lane);
      case TimelineKind::kAsks:
        Tied(event, lane, "s", "request");
        return Tied(event, lane, "b", "network");
      case TimelineKind::kTakes:
        return Tied(event, lane, "f", "request");
      case TimelineKind::kAnswers:
        return Tied(event, lane, "s", "answer");
      case TimelineKind::kHears:
        Tied(event, lane, "f", "answer");
        return Tied(event, lane, "e", "network");
      case TimelineKind::kLeads:
        return Tied(event, lane, "s", "follows");
      case TimelineKind::kFollows:
        return Tied(event, lane, "f", "follows");
      case TimelineKind::kOpens:
        return Tied(event, lane, "b", "state");
      case TimelineKind::kCloses:
        return Tied(event, lane, "e", "state");
    }
  }

  void Span(const TimelineEvent& event, uint32_t lane) {
    Begin(event.name, "X", lane);
    json_.Key("ts").Number(Microseconds(event.begin - began_));
    json_.Key("dur").Number(Microseconds(event.end - event.begin));
    Facts(event);
    End();
  }

  // An event that its id ties to others: an arrow's end ("s", "f"), or one of a state ("b", "e").
  void Tied(const TimelineEvent& event, uint32_t lane, std::string_view phase,
            std::string_view category) {
    std::array<char, 20> id{'0', 'x'};
    const auto end = std::to_chars(id.data() + 2, id.data() + id.size(), event.id, 16).ptr;
    Begin(event.name, phase, lane);
    json_.Key("cat").Text(category);
    json_.Key("id").Text({id.data(), end});
    json_.Key("ts").Number(Microseconds(event.begin - began_));
    if (phase == "f") json_.Key("bp").Text("e");  // It points at the span that it stands in.
    if (phase == "b") Facts(event);
    End();
  }

  void Begin(std::string_view name, std::string_view phase, uint32_t lane) {
    json_.BeginObject();
    json_.Key("name").Text(name).Key("ph").Text(phase);
    json_.Key("pid").Whole(process_).Key("tid").Whole(lane);
  }

  void Facts(const TimelineEvent& event) {
    json_.Key("args").BeginObject();
    for (const TimelineEvent::Fact& fact : event.facts) {
      if (fact.key == nullptr) break;
      json_.Key(fact.key);
      if (fact.text != nullptr) {
        json_.Text(fact.text);
      } else {
        json_.Whole(fact.number);
      }
    }
    json_.EndObject();
  }

  void End() {
    out_ << (first_ ? "\n" : ",\n") << json_.EndObject().Take();
    first_ = false;
  }

  std::ostream& out_;
  uint32_t process_;
  TimePoint began_;
  JsonWriter json_;
  bool first_ = true;
};

}  // namespace

Result<std::unique_ptr<Timeline>> Timeline::Make(const std::string& folder,
                                                 const TimelineProcess& process, const Clock& clock,
                                                 const Log& log) {
  std::error_code why;
  std::filesystem::create_directories(folder, why);
  std::string path = folder + "/" + process.FileName();
  errno = 0;
  if (std::ofstream(path, std::ios::binary | std::ios::trunc)) {
    return std::unique_ptr<Timeline>(new Timeline(std::move(path), process, clock, log));
  }
  const std::string words = why ? why.message() : std::generic_category().message(errno);
  return Error{ErrorCode::kFailed,
               path + ": the timeline cannot be written: " + words + "; see trace.timeline"};
}

Timeline::Timeline(std::string path, const TimelineProcess& process, const Clock& clock,
                   const Log& log)
    : path_(std::move(path)), process_(process), clock_(clock), log_(log), began_(clock.Now()) {}

Timeline::~Timeline() {
  errno = 0;
  std::ofstream file(path_, std::ios::binary | std::ios::trunc);
  PartWriter writer(file, process_.number, began_);
  writer.Head(process_);
  for (const TimelineLane& lane : lanes_) writer.Lane(lane);
  writer.Close();
  file.close();
  if (file) return;
  log_.Error("timeline_broken", {{"file", path_}, {"why", std::generic_category().message(errno)}});
}

TimelineLane& Timeline::AddLane(std::string name) {
  return lanes_.emplace_back(static_cast<uint32_t>(lanes_.size() + 1), std::move(name), clock_);
}

}  // namespace shardmill
