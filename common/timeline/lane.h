#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "common/clock.h"

namespace shardmill {

// What an event is. The four stations of a request are tied by its id, over all processes.
enum class TimelineKind : uint8_t {
  kSpan,     // Something went on from `begin` to `end`.
  kAsks,     // A request leaves.
  kTakes,    // It is taken at the other end.
  kAnswers,  // Its answer leaves.
  kHears,    // The answer is there.
  kLeads,    // The span that this stands in leads to the one that has the same id under kFollows.
  kFollows,
  kOpens,  // A state begins that may overlap with others; kCloses ends the one of that id.
  kCloses,
};

// One event of a lane. All its text is literal, or kept by the lane. A value.
struct TimelineEvent {
  static constexpr size_t kFactsMax = 5;
  struct Fact {
    const char* key = nullptr;   // Null: this fact and those behind it are not there.
    const char* text = nullptr;  // Null: the number.
    uint64_t number = 0;
  };

  TimelineKind kind = TimelineKind::kSpan;
  const char* name = "";
  TimePoint begin{};
  TimePoint end{};  // Of a span.
  uint64_t id = 0;
  std::array<Fact, kFactsMax> facts{};

  void Say(const char* key, uint64_t number) { Add({key, nullptr, number}); }
  void Say(const char* key, const char* text) { Add({key, text, 0}); }

 private:
  void Add(const Fact& fact);
};

// What one thread did: a ring of events that keeps the latest, and counts what it had to let go.
// Owned by a Timeline; used by that thread alone, and read by others once the thread has ended.
// Nothing can fail, and once made it takes no memory to add an event.
class TimelineLane final {
 public:
  // Some ten megabytes of memory, and of file, of each thread.
  static constexpr size_t kEventsMax = size_t{1} << 16;

  // `number` counts the lanes of a process, from 1. The clock outlives the lane.
  TimelineLane(uint32_t number, std::string name, const Clock& clock,
               size_t events_max = kEventsMax);

  TimePoint Now() const { return clock_.Now(); }
  void Add(const TimelineEvent& event);
  // An event at this moment.
  void Mark(TimelineKind kind, const char* name, uint64_t id);

  // A copy of the text that stays as long as the lane does; the same one for equal texts.
  const char* Keep(std::string_view text);

  uint32_t number() const { return number_; }
  const std::string& name() const { return name_; }
  uint64_t lost() const { return added_ - events_.size(); }

  // From the earliest on, in the order in which they were added.
  template <class Take>
  void ForEach(Take take) const {
    const size_t first = lost() == 0 ? 0 : static_cast<size_t>(added_ % events_max_);
    for (size_t i = 0; i < events_.size(); ++i) take(events_[(first + i) % events_.size()]);
  }

 private:
  uint32_t number_;
  std::string name_;
  const Clock& clock_;
  size_t events_max_;
  std::vector<TimelineEvent> events_;
  uint64_t added_ = 0;
  std::set<std::string, std::less<>> kept_;
};

// A span of a lane from here to the end of the scope. Without a lane it does nothing.
class TimelineSpan final {
 public:
  TimelineSpan(TimelineLane* lane, const char* name) : lane_(lane) {
    if (lane_ == nullptr) return;
    event_.emplace();
    event_->name = name;
    event_->begin = lane_->Now();
  }
  // With its first fact.
  template <class Value>
  TimelineSpan(TimelineLane* lane, const char* name, const char* key, const Value& value)
      : TimelineSpan(lane, name) {
    Say(key, value);
  }
  ~TimelineSpan() {
    if (lane_ == nullptr) return;
    event_->end = lane_->Now();
    lane_->Add(*event_);
  }
  TimelineSpan(const TimelineSpan&) = delete;
  TimelineSpan& operator=(const TimelineSpan&) = delete;

  void Say(const char* key, uint64_t number) {
    if (lane_ != nullptr) event_->Say(key, number);
  }
  // The text is copied.
  void Say(const char* key, std::string_view text) {
    if (lane_ != nullptr) event_->Say(key, lane_->Keep(text));
  }

 private:
  TimelineLane* lane_;
  std::optional<TimelineEvent> event_;
};

}  // namespace shardmill
