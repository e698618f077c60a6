// The half of Shard that changes state: steps applied, cuts completed, views taken, pulls answered.

#include <algorithm>
#include <utility>

#include "common/assert.h"
#include "common/mutation.h"
#include "server/shard.h"

namespace shardmill {

void Shard::CloseRoundIfWhole(Outbox& outbox) {
  std::vector<PendingEnd> round;
  for (const Member& member : view_.members) {
    const auto found = pending_.find(member.rank);
    if (found == pending_.end()) return;
    round.push_back(found->second);
  }
  if (!round.empty()) ApplySteps(round, outbox);
}

void Shard::ApplySteps(const std::vector<PendingEnd>& steps, Outbox& outbox) {
  double samples = 0;
  for (const PendingEnd& step : steps) samples += step.end.samples;

  LogEntry entry;
  entry.version = version_ + 1;
  entry.learning_rate = static_cast<float>(options_.optimizer.learning_rate);
  for (const PendingEnd& step : steps) {
    const WorkerId rank = step.end.sender.rank;
    const double weight = samples > 0 ? step.end.samples / samples : 0;
    entry.made.push_back({rank, step.end.step, step.end.samples});
    for (Unit& unit : held_.Take(rank, step.end.step)) {
      entry.parts.push_back(
          {unit.table, unit.begin, static_cast<float>(weight), std::move(unit.gradient)});
    }
  }
  Apply(entry);
  for (const PendingEnd& step : steps) {
    pending_.erase(step.end.sender.rank);
    if (step.client) Send(*step.client, Ended{step.end.sender.rank, step.end.step}, outbox);
  }
  ReleaseParked(outbox);
}

void Shard::Apply(const LogEntry& entry) {
  SM_ASSERT(entry.version == version_ + 1);
  std::vector<const ChangePart*> parts;
  for (auto& [id, table] : tables_) {
    parts.clear();
    for (const ChangePart& part : entry.parts) {
      if (part.table == id) parts.push_back(&part);
    }
    if (!parts.empty()) table.values.Apply(parts, entry.learning_rate, *table.optimizer);
  }
  for (const Contribution& made : entry.made) tracker_.Finish(made.rank, made.step, made.samples);
  version_ = entry.version;
  ++counters_.entries;
}

// Brings this shard to the cut: a step that another shard has applied was held here too, whole,
// before any End was sent. Words where that does not hold.
std::string Shard::CompleteCut(const std::vector<RankState>& cut, Outbox& outbox) {
  if (Mutated(Mutation::kForgetPartialStep)) return "";
  std::vector<PendingEnd> missing;
  for (const RankState& rank : cut) {
    if (view_.FindMember(rank.rank) == nullptr || rank.ended <= tracker_.Ended(rank.rank)) continue;
    const uint32_t units = held_.Count(rank.rank, rank.ended);
    const uint32_t attempt = held_.Attempt(rank.rank, rank.ended);
    if (rank.ended != tracker_.Ended(rank.rank) + 1 ||
        !held_.Whole(rank.rank, rank.ended, attempt, units)) {
      return "step " + std::to_string(rank.ended) + " of worker " +
             std::to_string(rank.rank.value) + " is applied on another shard and not whole here";
    }
    PendingEnd step;
    step.end = {{rank.rank, {}}, rank.ended, attempt, units, rank.samples};
    const auto pending = pending_.find(rank.rank);
    if (pending != pending_.end()) step.client = pending->second.client;
    missing.push_back(step);
  }
  if (missing.empty()) return "";
  if (view_.policy.apply == ApplyRule::kPerStep) {
    ApplySteps(missing, outbox);
  } else {
    for (const PendingEnd& step : missing) ApplySteps({step}, outbox);
  }
  return "";
}

// Whatever a process that lost its rank has left above the cut goes.
void Shard::DropReplaced(const View& next) {
  for (const Member& member : view_.members) {
    const Member* then = next.FindMember(member.rank);
    if (then != nullptr && then->incarnation == member.incarnation) continue;
    held_.Drop(member.rank);
    pending_.erase(member.rank);
    parked_.erase(member.rank);
  }
}

void Shard::TakeView(const View& view) {
  view_ = view;
  term_ = view.shards.at(options_.id.value).term;
  tracker_.Install(view);
  held_.SetShare(options_.held_bytes_max / std::max<uint64_t>(view.members.size(), 1));
  for (const TablePlace& place : view.tables) {
    if (tables_.contains(place.id)) continue;
    const uint64_t begin = place.cuts.at(options_.id.value);
    const uint64_t end = place.cuts.at(options_.id.value + 1);
    tables_.emplace(place.id,
                    Table{place, DenseSlice(begin, end, place.spec.initial), optimizer_.get()});
  }
}

void Shard::Serve(const Pull& pull, const Client& client, Outbox& outbox) {
  Pulled pulled;
  pulled.pull = pull.pull;
  pulled.closed = tracker_.Closed();
  pulled.version = version_;
  const uint64_t round = tracker_.ReadRound(pull.sender.rank, pull.step);
  pulled.staleness = round > pulled.closed ? round - pulled.closed : 0;
  pulled.values = tables_.at(pull.table).values.Read(pull.begin, pull.count);
  counters_.staleness_max = std::max(counters_.staleness_max, pulled.staleness);
  ++counters_.pulls;
  Send(client, std::move(pulled), outbox);
}

void Shard::ReleaseParked(Outbox& outbox) {
  for (auto& [rank, pulls] : parked_) {
    std::erase_if(pulls, [&](const auto& entry) {
      const ParkedPull& parked = entry.second;
      if (!tracker_.MayRead(rank, parked.pull.step, parked.pull.closed_min)) return false;
      Serve(parked.pull, parked.client, outbox);
      return true;
    });
  }
}

void Shard::Send(Client client, Message message, Outbox& outbox) const {
  const Stamp stamp{job_, view_.generation, term_, options_.boot, client.boot};
  outbox.push_back({client.peer, stamp, std::move(message)});
}

void Shard::SendWaiting(uint64_t about, bool is_pull, Client client, Outbox& outbox) const {
  Waiting waiting;
  waiting.about = about;
  waiting.is_pull = is_pull;
  waiting.rank = tracker_.Slowest().value_or(WorkerId{});
  if (!is_pull) {
    // The round waits for the first member whose End is not here.
    for (const Member& member : view_.members) {
      if (!pending_.contains(member.rank)) {
        waiting.rank = member.rank;
        break;
      }
    }
  }
  waiting.round = tracker_.Closed() + 1;
  Send(client, waiting, outbox);
}

void Shard::Refuse(Refusal code, uint64_t about, std::string words, const Envelope& from,
                   Outbox& outbox) {
  ++counters_.refused;
  Send({from.peer, from.stamp.from}, Refused{code, about, std::move(words)}, outbox);
}

}  // namespace shardmill
