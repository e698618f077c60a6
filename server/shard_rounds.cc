// The part of Shard that changes tables: which steps make a round, and what they come to.

#include <algorithm>
#include <span>
#include <utility>

#include "common/assert.h"
#include "common/mutation.h"
#include "optim/rate.h"
#include "server/shard.h"

namespace shardmill {

// A round closes when all members have ended their step, or so many that only backups are missing.
void Shard::CloseRoundIfWhole(Outbox& outbox) {
  if (first_closes() && options_.id.value != 0 && !Mutated(Mutation::kCloseAlone)) return;
  round_.clear();
  for (const Member& member : view().members) {
    const auto found = pending_.find(member.rank);
    if (found != pending_.end()) round_.push_back(found->second);
  }
  if (round_.size() >= RoundMin()) CloseRound(outbox);
}

uint64_t Shard::RoundMin() const {
  const uint64_t members = view().members.size();
  return members > view().policy.backups ? members - view().policy.backups : 1;
}

// Word from the first shard: who counts in a round. All of them are as far from it.
Shard::Told Shard::RoundAsTold(const std::vector<RankState>& close) const {
  if (!first_closes() || options_.id.value == 0 || close.size() < RoundMin()) {
    return Told::kCannotBe;
  }
  std::optional<Told> told;
  for (size_t i = 0; i < close.size(); ++i) {
    const RankState& state = close[i];
    const bool ordered = i == 0 || close[i - 1].rank < state.rank;
    if (!ordered || view().FindMember(state.rank) == nullptr) return Told::kCannotBe;
    const Step next = copy_.tracker().Ended(state.rank) + 1;
    Told here = Told::kTooEarly;
    if (state.ended < next) here = Told::kClosed;
    if (state.ended == next) {
      // What is not here may lie with the primary after this one, which need not have heard of it.
      const uint32_t units = held_.Count(state.rank, next, AttemptOf(state));
      const bool whole = held_.Whole(state.rank, next, AttemptOf(state), units);
      if (MayLackUnits(state.rank, next) || !whole) return Told::kTooEarly;
      here = Told::kNext;
    }
    if (told && *told != here) return Told::kCannotBe;
    told = here;
  }
  return told.value_or(Told::kCannotBe);
}

void Shard::CloseAsTold(const std::vector<RankState>& close, Outbox& outbox) {
  round_.clear();
  for (const RankState& state : close) {
    PendingEnd step;
    step.end.sender.rank = state.rank;
    step.end.step = state.ended;
    step.end.samples = state.samples;
    step.end.attempt = AttemptOf(state);
    round_.push_back(step);
  }
  CloseRound(outbox);
}

// Closes round_. Steps of the members that are not in it are over too, and count for nothing.
void Shard::CloseRound(Outbox& outbox) {
  if (first_closes()) {
    for (const Member& member : view().members) {
      const auto counts = [&](const PendingEnd& s) { return s.end.sender.rank == member.rank; };
      if (std::ranges::any_of(round_, counts)) continue;
      PendingEnd late;
      late.end.sender.rank = member.rank;
      late.end.step = copy_.tracker().Ended(member.rank) + 1;
      late.discarded = true;
      round_.push_back(late);
    }
  }
  if (Mutated(Mutation::kOrderOfArrival)) {
    std::ranges::sort(round_, {}, &PendingEnd::arrival);
  }
  if (Mutated(Mutation::kStepPerWorker)) {
    for (const PendingEnd& step : round_) ApplySteps({&step, 1}, outbox);
  } else {
    ApplySteps(round_, outbox);
  }
}

double Shard::WeightOf(const PendingEnd& step, double samples, double members) const {
  if (step.discarded || step.end.samples <= 0) return 0;
  switch (view().policy.aggregate) {
    case Aggregate::kWeighted:
      return step.end.samples / samples;
    case Aggregate::kMean:
      return 1 / members;
    case Aggregate::kSum:
      return 1;
  }
  return 0;
}

void Shard::ApplySteps(std::span<const PendingEnd> steps, Outbox& outbox) {
  double samples = 0;
  double members = 0;
  for (const PendingEnd& step : steps) {
    if (step.discarded) continue;
    samples += step.end.samples;
    members += step.end.samples > 0 ? 1 : 0;
  }
  LogEntry& entry = entry_;
  entry.made.clear();
  entry.version = copy_.version() + 1;
  uint64_t round = 0;
  for (const PendingEnd& step : steps) {
    const End& end = step.end;
    round = std::max(round, copy_.tracker().RoundOf(end.sender.rank, end.step));
    entry.made.push_back(
        {end.sender.rank, end.step, end.samples, step.discarded, end.attempt, end.used});
    AddChanges(step, static_cast<float>(WeightOf(step, samples, members)), entry);
    if (step.discarded) ++counters_.discarded;
    if (end.skipped) ++counters_.skipped;
  }
  for (TableChange& change : entry.changes) {
    const UpdateSettings& update = copy_.At(change.table).update;
    if (IsMerge(update.rule)) continue;  // It has no rate, and nobody has checked one.
    const auto count = static_cast<uint32_t>(view().members.size());
    change.rate = static_cast<float>(RateAt(update.rate, round, count));
  }
  SettleAll(outbox);
  if (followers_.begun() || log_.begun()) {
    const Entry sent = EntryOf(entry, copy_, frames_);
    followers_.Append(sent);
    log_.Append(sent);
  }
  copy_.Take(entry);
  ++counters_.entries;
  for (const PendingEnd& step : steps) {
    const WorkerId rank = step.end.sender.rank;
    const auto pending = pending_.find(rank);
    std::optional<Client> client = step.client;
    if (!client && pending != pending_.end()) client = pending->second.client;
    if (pending != pending_.end()) pending_.erase(pending);
    if (client) answers_.push_back({rank, step.end.step, *client});
  }
  releases_ = true;
}

// What counts for nothing changes nothing, not even an optimizer's state.
void Shard::AddChanges(const PendingEnd& step, float weight, LogEntry& entry) {
  const End& end = step.end;
  held_.Take(end.sender.rank, end.step, end.attempt, [&](HeldUnit& held) {
    if (weight == 0) return;
    if (held.keys != nullptr && Mutated(Mutation::kDropSparseUnit)) return;
    const TableId table = held.unit.table;
    auto change = std::ranges::find(entry.changes, table, &TableChange::table);
    if (change == entry.changes.end()) {
      change = entry.changes.insert(change, TableChange{table, 0, {}});
      change->parts = copy_.SpareParts();
    }
    change->parts.push_back(
        {held.unit.begin, weight, std::move(held.unit.gradient), std::move(held.keys), false});
  });
}

bool Shard::Settle(Outbox& outbox) {
  constexpr uint64_t kEnoughBytes = uint64_t{256} << 10;
  for (uint64_t bytes = 0; !copy_.settled() && bytes < kEnoughBytes;) {
    const ShardCopy::SettledTable done = copy_.SettleNext();
    bytes += done.bytes;
    if (releases_) ReleaseParked(done.table, outbox);
  }
  if (!copy_.settled()) return true;
  if (releases_) ReleaseParked(std::nullopt, outbox);
  releases_ = false;
  // Only now: the gradients may lie in memory that their worker writes again when it hears this.
  for (const Answer& answer : answers_) {
    AnswerEnded(answer.rank, answer.step, answer.client, outbox);
  }
  answers_.clear();
  MoveFollowers(outbox);
  return false;
}

void Shard::SettleAll(Outbox& outbox) {
  while (Settle(outbox)) {
  }
}

void Shard::AnswerEnded(WorkerId rank, Step step, const Client& client, Outbox& outbox) {
  Ended ended{rank, step, false, copy_.tracker().Ended(rank) + 1, copy_.filled(), {}};
  ended.discarded = !copy_.tracker().Counted(rank, step) && !Mutated(Mutation::kAckDiscarded);
  if (first_closes() && options_.id.value == 0) ended.close = copy_.last_close();
  Show(Gate::To::kWorker, client, std::move(ended), outbox);
}

// As if they had come now, when the cut is over.
void Shard::TakeLateEnds(Outbox& outbox) {
  std::map<WorkerId, Envelope> ends;
  ends.swap(late_ends_);
  for (const auto& [rank, envelope] : ends) {
    if (PassStamp(envelope, outbox)) On(std::get<End>(envelope.message), envelope, outbox);
  }
}

}  // namespace shardmill
