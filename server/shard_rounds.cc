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
  for (const Member& member : view_.members) {
    const auto found = pending_.find(member.rank);
    if (found != pending_.end()) round_.push_back(found->second);
  }
  if (round_.size() >= RoundMin()) CloseRound(outbox);
}

uint64_t Shard::RoundMin() const {
  const uint64_t members = view_.members.size();
  return members > view_.policy.backups ? members - view_.policy.backups : 1;
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
    if (!ordered || view_.FindMember(state.rank) == nullptr) return Told::kCannotBe;
    const Step next = tracker_.Ended(state.rank) + 1;
    Told here = Told::kTooEarly;
    if (state.ended < next) here = Told::kClosed;
    if (state.ended == next) {
      const uint32_t units = held_.Count(state.rank, next, state.attempt);
      if (!held_.Whole(state.rank, next, state.attempt, units)) return Told::kCannotBe;
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
    step.end.attempt = state.attempt;
    round_.push_back(step);
  }
  CloseRound(outbox);
}

// Closes round_. Steps of the members that are not in it are over too, and count for nothing.
void Shard::CloseRound(Outbox& outbox) {
  if (first_closes()) {
    last_close_.clear();
    for (const PendingEnd& step : round_) {
      last_close_.push_back({step.end.sender.rank,
                             step.end.step,
                             step.end.samples,
                             0,
                             step.end.step,
                             0,
                             step.end.attempt,
                             {}});
    }
    for (const Member& member : view_.members) {
      const auto counts = [&](const PendingEnd& s) { return s.end.sender.rank == member.rank; };
      if (std::ranges::any_of(round_, counts)) continue;
      PendingEnd late;
      late.end.sender.rank = member.rank;
      late.end.step = tracker_.Ended(member.rank) + 1;
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
  switch (view_.policy.aggregate) {
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
  entry.version = version_ + 1;
  uint64_t round = 0;
  for (const PendingEnd& step : steps) {
    const End& end = step.end;
    round = std::max(round, tracker_.RoundOf(end.sender.rank, end.step));
    entry.made.push_back(
        {end.sender.rank, end.step, end.samples, step.discarded, end.attempt, end.used});
    if (!step.discarded && end.samples > 0) ++filled_;
    AddChanges(step, static_cast<float>(WeightOf(step, samples, members)), entry);
    if (step.discarded) ++counters_.discarded;
    if (end.skipped) ++counters_.skipped;
  }
  for (TableChange& change : entry.changes) {
    const UpdateSettings& update = tables_.at(change.table).update;
    if (IsMerge(update.rule)) continue;  // It has no rate, and nobody has checked one.
    const auto count = static_cast<uint32_t>(view_.members.size());
    change.rate = static_cast<float>(RateAt(update.rate, round, count));
  }
  SettleAll(outbox);
  Apply(entry);
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
      if (!spare_parts_.empty()) {
        change->parts = std::move(spare_parts_.back());
        spare_parts_.pop_back();
      }
    }
    change->parts.push_back(
        {held.unit.begin, weight, std::move(held.unit.gradient), std::move(held.keys)});
  });
}

void Shard::Apply(LogEntry& entry) {
  SM_ASSERT(entry.version == version_ + 1);
  for (const Contribution& made : entry.made) tracker_.Finish(made);
  version_ = entry.version;
  ++counters_.entries;
  if (observer_ != nullptr) observer_->Applied(entry);
  Defer(entry);
}

// Rows are made at once: whether there is room for more of them depends on how many there are.
void Shard::Defer(LogEntry& entry) {
  for (TableChange& change : entry.changes) {
    Table& table = tables_.at(change.table);
    if (auto* sparse = std::get_if<SparseSlice>(&table.values)) {
      if (observer_ != nullptr) observer_->ChangeBegins(change);
      sparse->Apply(change.parts, change.rate, *table.optimizer);
      if (observer_ != nullptr) observer_->ChangeEnds();
      change.parts.clear();  // What was pushed goes now.
      spare_parts_.push_back(std::move(change.parts));
    } else {
      unsettled_.push_back(std::move(change));
    }
  }
  entry.changes.clear();
}

bool Shard::Settle(Outbox& outbox) {
  constexpr uint64_t kEnoughBytes = uint64_t{256} << 10;
  for (uint64_t bytes = 0; settled_ < unsettled_.size() && bytes < kEnoughBytes;) {
    TableChange& change = unsettled_[settled_++];
    for (const ChangePart& part : change.parts) bytes += part.gradient.size();
    Settle(change);
    if (releases_) ReleaseParked(change.table, outbox);
  }
  if (settled_ < unsettled_.size()) return true;
  for (TableChange& change : unsettled_) spare_parts_.push_back(std::move(change.parts));
  unsettled_.clear();
  settled_ = 0;
  if (releases_) ReleaseParked(std::nullopt, outbox);
  releases_ = false;
  // Only now: the gradients may lie in memory that their worker writes again when it hears this.
  for (const Answer& answer : answers_) {
    AnswerEnded(answer.rank, answer.step, answer.client, outbox);
  }
  answers_.clear();
  return false;
}

void Shard::SettleAll(Outbox& outbox) {
  while (Settle(outbox)) {
  }
}

// Once: a table that was read meanwhile has nothing left to do.
void Shard::Settle(TableChange& change) {
  if (change.parts.empty()) return;
  Table& table = tables_.at(change.table);
  if (observer_ != nullptr) observer_->ChangeBegins(change);
  std::get<DenseSlice>(table.values).Apply(change.parts, change.rate, *table.optimizer);
  if (observer_ != nullptr) observer_->ChangeEnds();
  change.parts.clear();  // What was pushed goes now.
}

void Shard::AnswerEnded(WorkerId rank, Step step, const Client& client, Outbox& outbox) const {
  Ended ended{rank, step, false, tracker_.Ended(rank) + 1, filled_, {}};
  ended.discarded = !tracker_.Counted(rank, step) && !Mutated(Mutation::kAckDiscarded);
  if (first_closes() && options_.id.value == 0) ended.close = last_close_;
  Send(client, std::move(ended), outbox);
}

}  // namespace shardmill
