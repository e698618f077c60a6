// The part of Shard that takes views and answers reads.

#include <algorithm>
#include <utility>

#include "common/assert.h"
#include "common/mutation.h"
#include "server/shard.h"

namespace shardmill {

// Brings this shard to the cut: a step that another shard has applied was held here too, whole,
// before any End was sent. Words where that does not hold.
std::string Shard::CompleteCut(const std::vector<RankState>& cut, Outbox& outbox) {
  if (Mutated(Mutation::kForgetPartialStep)) return "";
  std::vector<PendingEnd> missing;
  for (const RankState& state : cut) {
    const WorkerId rank = state.rank;
    if (view().FindMember(rank) == nullptr || state.ended <= copy_.tracker().Ended(rank)) continue;
    if (MayLackUnits(rank, state.ended) && !Mutated(Mutation::kForgetOwed)) {
      if (closes_rounds()) return "";  // A round is applied as a whole.
      continue;
    }
    const uint32_t attempt = AttemptOf(state);
    held_.DropBefore(rank, state.ended, attempt);
    const uint32_t units = held_.Count(rank, state.ended, attempt);
    PendingEnd step;
    step.discarded = state.counted < state.ended;
    if (state.ended != copy_.tracker().Ended(rank) + 1 ||
        (!step.discarded && !held_.Whole(rank, state.ended, attempt, units))) {
      return "step " + std::to_string(state.ended) + " of worker " + std::to_string(rank.value) +
             " is applied on another shard and not whole here";
    }
    step.end.sender.rank = rank;
    step.end.step = state.ended;
    step.end.attempt = attempt;
    step.end.units = units;
    step.end.samples = state.samples;
    if (!Mutated(Mutation::kCutWithoutCursor)) step.end.used = state.used;
    missing.push_back(step);
  }
  if (missing.empty()) return "";
  if (closes_rounds()) {
    ApplySteps(missing, outbox);
  } else {
    for (const PendingEnd& step : missing) ApplySteps({&step, 1}, outbox);
  }
  return "";
}

// Whatever a process that lost its rank has left above the cut goes.
void Shard::DropReplaced(const View& next) {
  for (const Member& member : view().members) {
    const Member* then = next.FindMember(member.rank);
    const bool same = then != nullptr && then->incarnation == member.incarnation;
    if (same && !Mutated(Mutation::kDropEndsAtCut)) continue;
    if (then == nullptr && Mutated(Mutation::kKeepDeadEnd)) continue;
    held_.Drop(member.rank);
    brought_.erase(member.rank);
    pending_.erase(member.rank);
    parked_.erase(member.rank);
    keys_.Forget(member.rank);
  }
}

// Words where the view cannot be taken.
std::string Shard::TakeView(const View& view) {
  term_ = view.shards.at(options_.id.value).term;
  held_.SetShare(options_.held_bytes_max / std::max<uint64_t>(view.members.size(), 1));
  std::string problem = copy_.TakeView(job_, view);
  if (!problem.empty()) return problem;
  followers_.Append(view);
  log_.Append(view);
  return "";
}

void Shard::Serve(const ParkedPull& parked, Outbox& outbox) {
  const Pull& pull = parked.pull;
  Pulled pulled;
  pulled.pull = pull.pull;
  pulled.closed = copy_.tracker().Closed();
  pulled.version = copy_.version();
  const uint64_t round = copy_.tracker().ReadRound(pull.sender.rank, pull.step);
  pulled.staleness = round > pulled.closed ? round - pulled.closed : 0;
  copy_.Settle(pull.table);
  const ShardCopy::Table& table = copy_.At(pull.table);
  if (parked.keys != nullptr) {
    pulled.values = {std::get<SparseSlice>(table.values).Read(*parked.keys, frames_)};
  } else {
    pulled.values = std::get<DenseSlice>(table.values).Read(pull.begin, pull.count);
  }
  counters_.staleness_max = std::max(counters_.staleness_max, pulled.staleness);
  ++counters_.pulls;
  if (observer_ != nullptr) observer_->Served(pull, parked.client.boot, pulled);
  Show(Gate::To::kWorker, parked.client, std::move(pulled), outbox);
}

void Shard::ReleaseParked(std::optional<TableId> table, Outbox& outbox) {
  for (auto& [rank, pulls] : parked_) {
    std::erase_if(pulls, [&](const auto& entry) {
      const ParkedPull& parked = entry.second;
      if (table && parked.pull.table != *table) return false;
      if (!copy_.tracker().MayRead(rank, parked.pull.step, parked.pull.closed_min)) return false;
      Serve(parked, outbox);
      return true;
    });
  }
}

void Shard::Send(Client client, Message message, Outbox& outbox) const {
  const Stamp stamp{job_, view().generation, term_, options_.boot, client.boot};
  outbox.push_back({client.peer, stamp, std::move(message)});
}

// An open round waits for the first member whose End is not here; else the slowest is awaited.
WorkerId Shard::Awaited() const {
  if (!pending_.empty()) {
    for (const Member& member : view().members) {
      if (!pending_.contains(member.rank)) return member.rank;
    }
  }
  return copy_.tracker().Slowest().value_or(WorkerId{});
}

void Shard::SendWaiting(uint64_t about, bool is_pull, Client client, Outbox& outbox) const {
  Waiting waiting;
  waiting.about = about;
  waiting.is_pull = is_pull;
  waiting.rank = Awaited();
  waiting.round = copy_.tracker().Closed() + 1;
  Send(client, waiting, outbox);
}

void Shard::Refuse(Refusal code, uint64_t about, std::string words, const Envelope& from,
                   Outbox& outbox) {
  ++counters_.refused;
  Send({from.peer, from.stamp.from}, Refused{code, about, std::move(words)}, outbox);
}

}  // namespace shardmill
