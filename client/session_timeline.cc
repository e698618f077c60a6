#include "client/session_timeline.h"

#include <variant>

#include "common/timeline/requests.h"

namespace shardmill {
namespace {

void SayTable(TimelineEvent& event, TableId id, const View& view, TimelineLane& lane) {
  for (const TablePlace& place : view.tables) {
    if (place.id == id) event.Say("table", lane.Keep(place.spec.name));
  }
}

void Describe(const Message& message, const View& view, TimelineLane& lane, TimelineEvent& event) {
  if (const auto* unit = std::get_if<Unit>(&message)) {
    event.Say("step", unit->step);
    SayTable(event, unit->table, view, lane);
    event.Say("bytes", unit->gradient.size());
  } else if (const auto* pull = std::get_if<Pull>(&message)) {
    event.Say("step", pull->step);
    SayTable(event, pull->table, view, lane);
    event.Say(pull->keys.id == 0 ? "floats" : "rows", pull->count);
  } else if (const auto* end = std::get_if<End>(&message)) {
    event.Say("step", end->step);
  }
}

}  // namespace

void SessionTimeline::NoteRequests(const Outbox& outbox, const View& view) {
  for (const Outgoing& out : outbox) {
    const std::optional<ShardId> shard = ShardOf(out.peer);
    if (!shard) continue;
    const TimelineRequest request = RequestOf(out.message, out.stamp.from, *shard);
    if (request.name == nullptr) continue;
    TimelineEvent event;
    event.kind = TimelineKind::kAsks;
    event.name = request.name;
    event.id = request.id;
    event.begin = lane_->Now();
    event.Say("shard", shard->value);
    Describe(out.message, view, *lane_, event);
    lane_->Add(event);
  }
}

void SessionTimeline::NoteAnswer(const Envelope& envelope) {
  const std::optional<ShardId> shard = ShardOf(envelope.peer);
  if (!shard) return;
  if (const auto* waiting = std::get_if<Waiting>(&envelope.message)) slow_worker_ = waiting->rank;
  const TimelineRequest answer = AnswerOf(envelope.message, envelope.stamp.to, *shard);
  if (answer.name == nullptr) return;
  last_shard_ = shard;
  lane_->Mark(TimelineKind::kHears, answer.name, answer.id);
}

std::optional<ShardId> SessionTimeline::ShardOf(PeerId peer) const {
  for (auto one = shards_.rbegin(); one != shards_.rend(); ++one) {
    if (one->first == peer) return one->second;
  }
  return {};
}

void SessionTimeline::BeginWait() {
  last_shard_.reset();
  slow_worker_.reset();
}

void SessionTimeline::TellOfWait(TimelineSpan& span) const {
  if (last_shard_) span.Say("last_shard", last_shard_->value);
  if (slow_worker_) span.Say("slow_worker", slow_worker_->value);
}

}  // namespace shardmill
