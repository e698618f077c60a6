#include "server/shard_timeline.h"

#include <algorithm>
#include <variant>

#include "common/rng.h"
#include "common/timeline/requests.h"

namespace shardmill {
namespace {

uint64_t CutId(ShardId shard, ViewNumber view) { return Mix(Mix(view.value) ^ shard.value); }

}  // namespace

void ShardTimeline::Take(Shard& shard, TimePoint now, const Envelope& envelope, Outbox& outbox) {
  const TimelineRequest request = RequestOf(envelope.message, envelope.stamp.from, id_);
  if (request.name != nullptr) {
    TakeOfStep(shard, now, envelope, outbox, request.id);
  } else if (std::holds_alternative<Freeze>(envelope.message) ||
             std::holds_alternative<Install>(envelope.message)) {
    TakeOfCut(shard, now, envelope, outbox);
  } else {
    shard.Take(now, envelope, outbox);
  }
}

void ShardTimeline::TakeOfStep(Shard& shard, TimePoint now, const Envelope& envelope,
                               Outbox& outbox, uint64_t request) {
  TimelineEvent event;
  event.begin = lane_.Now();
  const auto* unit = std::get_if<Unit>(&envelope.message);
  const auto* end = std::get_if<End>(&envelope.message);
  const auto* pull = std::get_if<Pull>(&envelope.message);
  const char* about = unit != nullptr ? "push" : end != nullptr ? "end" : "pull";
  event.name = unit != nullptr ? "hold push" : end != nullptr ? "take end of step" : "take pull";
  const auto say = [&](const auto& message) {
    event.Say("worker", message.sender.rank.value);
    event.Say("step", message.step);
  };
  if (unit != nullptr) {
    say(*unit);
    SayTable(event, unit->table);
    event.Say("bytes", unit->gradient.size());
  } else if (pull != nullptr) {
    say(*pull);
    SayTable(event, pull->table);
  } else {
    say(*end);
    ending_ = end->sender.rank;
    lane_.Mark(TimelineKind::kLeads, "apply", EntryId(end->sender.rank, end->step));
  }
  lane_.Mark(TimelineKind::kTakes, about, request);
  const size_t before = outbox.size();
  shard.Take(now, envelope, outbox);
  ending_.reset();
  const bool answered = MarkAnswers(outbox, before, request);
  if (pull != nullptr && !answered) Park(shard, *pull, request);
  event.end = lane_.Now();
  lane_.Add(event);
}

void ShardTimeline::TakeOfCut(Shard& shard, TimePoint now, const Envelope& envelope,
                              Outbox& outbox) {
  const auto* freeze = std::get_if<Freeze>(&envelope.message);
  TimelineSpan span(&lane_, freeze != nullptr ? "freeze" : "install view");
  const View& view = shard.view();
  if (freeze != nullptr && freeze->number > view.number) {
    lane_.Mark(TimelineKind::kOpens, "cut", CutId(id_, freeze->number));
  }
  const size_t before = outbox.size();
  shard.Take(now, envelope, outbox);
  MarkAnswers(outbox, before, 0);
  span.Say("view", view.number.value);
}

bool ShardTimeline::Settle(Shard& shard, Outbox& outbox) {
  TimelineEvent event;
  event.begin = lane_.Now();
  event.name = "settle";
  const size_t before = outbox.size();
  const bool more = shard.Settle(outbox);
  if (!more && outbox.size() == before) return false;
  MarkAnswers(outbox, before, 0);
  event.Say("version", version_);
  event.end = lane_.Now();
  lane_.Add(event);
  return more;
}

bool ShardTimeline::MarkAnswers(const Outbox& outbox, size_t from, uint64_t request) {
  bool found = false;
  for (size_t i = from; i < outbox.size(); ++i) {
    const Message& message = outbox[i].message;
    if (std::holds_alternative<Refused>(message)) found = true;
    const TimelineRequest answer = AnswerOf(message, outbox[i].stamp.to, id_);
    if (answer.name == nullptr) continue;
    lane_.Mark(TimelineKind::kAnswers, answer.name, answer.id);
    if (answer.id == request) {
      found = true;
    } else if (std::holds_alternative<Pulled>(message)) {
      lane_.Mark(TimelineKind::kCloses, "parked pull", answer.id);
    }
  }
  return found;
}

void ShardTimeline::Park(const Shard& shard, const Pull& pull, uint64_t request) {
  TimelineEvent event;
  event.kind = TimelineKind::kOpens;
  event.name = "parked pull";
  event.id = request;
  event.begin = lane_.Now();
  event.Say("worker", pull.sender.rank.value);
  event.Say("step", pull.step);
  SayTable(event, pull.table);
  event.Say("waits_for_worker", shard.Status().waiting_for);
  lane_.Add(event);
}

void ShardTimeline::TookView(JobId job, const View& view) {
  for (const TablePlace& place : view.tables) {
    const auto known = std::ranges::find(tables_, place.id, [](const auto& t) { return t.first; });
    if (known == tables_.end()) tables_.emplace_back(place.id, lane_.Keep(place.spec.name));
  }
  lane_.Mark(TimelineKind::kCloses, "cut", CutId(id_, view.number));
  if (next_ != nullptr) next_->TookView(job, view);
}

void ShardTimeline::Restored(uint64_t version, const std::vector<RankState>& ranks) {
  if (next_ != nullptr) next_->Restored(version, ranks);
}

void ShardTimeline::Applied(const LogEntry& entry) {
  version_ = entry.version;
  steps_ = entry.made.size();
  last_worker_ = ending_;
  arrows_.clear();
  for (const Contribution& made : entry.made) arrows_.push_back(EntryId(made.rank, made.step));
  if (next_ != nullptr) next_->Applied(entry);
}

void ShardTimeline::Served(const Pull& pull, BootId reader, const Pulled& answer) {
  if (next_ != nullptr) next_->Served(pull, reader, answer);
}

void ShardTimeline::ChangeBegins(const TableChange& change) {
  change_.emplace();
  change_->name = "apply";
  change_->begin = lane_.Now();
  for (const uint64_t arrow : arrows_) lane_.Mark(TimelineKind::kFollows, "apply", arrow);
  arrows_.clear();
  uint64_t bytes = 0;
  for (const ChangePart& part : change.parts) bytes += part.gradient.size();
  SayTable(*change_, change.table);
  change_->Say("bytes", bytes);
  change_->Say("version", version_);
  change_->Say("steps", steps_);
  if (last_worker_) change_->Say("last_worker", last_worker_->value);
  if (next_ != nullptr) next_->ChangeBegins(change);
}

void ShardTimeline::ChangeEnds() {
  if (next_ != nullptr) next_->ChangeEnds();
  change_->end = lane_.Now();
  lane_.Add(*change_);
}

void ShardTimeline::SayTable(TimelineEvent& event, TableId table) {
  const auto found = std::ranges::find(tables_, table, [](const auto& t) { return t.first; });
  if (found != tables_.end()) event.Say("table", found->second);
}

uint64_t ShardTimeline::EntryId(WorkerId rank, Step step) const {
  return Mix(Mix(Mix(step) ^ rank.value) ^ id_.value);
}

}  // namespace shardmill
