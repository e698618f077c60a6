#include "common/timeline/lane.h"

#include <algorithm>
#include <utility>

#include "common/assert.h"

namespace shardmill {

void TimelineEvent::Add(const Fact& fact) {
  const auto free = std::ranges::find_if(facts, [](const Fact& one) { return one.key == nullptr; });
  SM_ASSERT(free != facts.end());
  *free = fact;
}

TimelineLane::TimelineLane(uint32_t number, std::string name, const Clock& clock, size_t events_max)
    : number_(number), name_(std::move(name)), clock_(clock), events_max_(events_max) {
  SM_ASSERT(events_max_ > 0);
  events_.reserve(events_max_);
}

void TimelineLane::Add(const TimelineEvent& event) {
  if (events_.size() < events_max_) {
    events_.push_back(event);
  } else {
    events_[added_ % events_max_] = event;
  }
  ++added_;
}

void TimelineLane::Mark(TimelineKind kind, const char* name, uint64_t id) {
  TimelineEvent event;
  event.kind = kind;
  event.name = name;
  event.id = id;
  event.begin = Now();
  Add(event);
}

const char* TimelineLane::Keep(std::string_view text) {
  const auto found = kept_.find(text);
  return found != kept_.end() ? found->c_str() : kept_.emplace(text).first->c_str();
}

}  // namespace shardmill
