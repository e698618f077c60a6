// The part of Coordinator that has copies of shards go from one server to another: one more copy
// there, which takes the place of the other when it has all that was answered.

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "server/coordinator.h"

namespace shardmill {

// Why nothing can go anywhere; empty where it can.
std::string Coordinator::MoveProblem(const std::vector<uint32_t>& drained) const {
  if (state_ == JobState::kDone || state_ == JobState::kFailed) return "the job is over";
  if (decided_.number.value == 0) return "the job has not begun: " + words_;
  if (going_back_) return "the job goes back to its last snapshot";
  if (options_.logs) return "shards stay where their logs are (replication.log)";
  if (options_.recorded) return "shards stay where they write down what they do (trace.folder)";
  if (options_.data.leased && !options_.snapshots.enabled) {
    return "a job that leases its data needs snapshots for that (snapshot.to): the last step of a "
           "worker that dies as a shard changes its server could not be made again";
  }
  for (const uint32_t index : drained) {
    if (!hosts_.contains(index)) return "there is no server " + std::to_string(index);
  }
  return "";
}

// Servers that may be given something.
std::vector<uint32_t> Coordinator::Targets(const std::vector<uint32_t>& drained,
                                           TimePoint now) const {
  std::vector<uint32_t> targets;
  for (const auto& [index, host] : hosts_) {
    const bool goes = std::ranges::find(drained, index) != drained.end();
    if (!goes && HostLives(index, now)) targets.push_back(index);
  }
  return targets;
}

// The copy that goes to another server; null where none does.
const ShardStatus* Coordinator::MoverOf(ShardId id) const {
  const std::vector<ShardStatus>& replicas = copies_[id.value].replicas;
  const auto found =
      std::ranges::find_if(replicas, [](const ShardStatus& r) { return r.replaces.has_value(); });
  return found == replicas.end() ? nullptr : &*found;
}

Move Coordinator::UnderWay(ShardId id, const ShardStatus& mover) const {
  const uint32_t home = shards_[id.value].host;
  if (*mover.replaces == mover.copy) {
    return {id, mover.copy, mover.host, home, mover.retires, "takes over"};
  }
  Move move{id, *mover.replaces, home, mover.host, true};
  for (const ShardStatus& replica : copies_[id.value].replicas) {
    if (replica.copy != *mover.replaces) continue;
    move.from = replica.host;
    move.primary = false;
  }
  move.words = mover.in_sync ? "takes over" : mover.registered ? "is copied" : "is opened";
  return move;
}

// A server has one copy of a shard at most; a replica that has all may become the primary.
bool Coordinator::MayGoTo(ShardId id, uint32_t host, bool primary) const {
  if (shards_[id.value].host == host) return false;
  return std::ranges::all_of(copies_[id.value].replicas, [&](const ShardStatus& replica) {
    return replica.host != host || (primary && replica.in_sync);
  });
}

// What is under way, and then what is left: primaries leave drained servers and the fullest ones
// for those that have the fewest, replicas leave drained servers alone.
Balance Coordinator::Plan(const std::vector<uint32_t>& drained, TimePoint now) const {
  Balance plan{{}, MoveProblem(drained)};
  std::map<uint32_t, std::vector<ShardId>> primaries;
  std::map<uint32_t, uint32_t> replicas;
  for (const uint32_t target : Targets(drained, now)) primaries[target];
  if (plan.problem.empty() && primaries.empty()) plan.problem = "there is no server to go to";
  if (!plan.problem.empty()) return plan;
  const std::set<uint32_t> drains(drained.begin(), drained.end());
  const auto least = [&](ShardId id, bool primary) {
    std::optional<uint32_t> best;
    const auto load = [&](uint32_t host) {
      return std::pair(primary ? primaries[host].size() : replicas[host], host);
    };
    for (const auto& [host, held] : primaries) {
      if (MayGoTo(id, host, primary) && (!best || load(host) < load(*best))) best = host;
    }
    return best;
  };
  const auto stuck = [&](ShardId id) {
    plan.problem = "shard " + std::to_string(id.value) + " has a copy on each of the servers left";
  };
  std::vector<ShardId> homeless;
  for (uint32_t i = 0; i < shards_.size(); ++i) {
    const ShardId id{i};
    const ShardStatus* mover = MoverOf(id);
    if (mover != nullptr) plan.moves.push_back(UnderWay(id, *mover));
    const bool goes = mover != nullptr && plan.moves.back().primary;
    const uint32_t home = goes ? plan.moves.back().to : shards_[i].host;
    if (drains.contains(home) && mover == nullptr) homeless.push_back(id);
    if (primaries.contains(home)) primaries[home].push_back(id);
    for (const ShardStatus& replica : copies_[i].replicas) ++replicas[replica.host];
  }
  for (const ShardId id : homeless) {
    const ShardStatus& primary = shards_[id.value];
    const std::optional<uint32_t> to = least(id, true);
    if (!to) return stuck(id), plan;
    plan.moves.push_back({id, primary.copy, primary.host, *to, true});
    primaries[*to].push_back(id);
  }
  const auto size = [](const auto& entry) { return entry.second.size(); };
  for (bool moved = true; moved;) {
    moved = false;
    auto& [from, held] = *std::ranges::max_element(primaries, {}, size);
    for (const ShardId id : held) {
      const ShardStatus& primary = shards_[id.value];
      const std::optional<uint32_t> to = least(id, true);
      const bool stays = primary.host != from || MoverOf(id) != nullptr;
      if (stays || !to || primaries[*to].size() + 1 >= held.size()) continue;
      plan.moves.push_back({id, primary.copy, from, *to, true});
      primaries[*to].push_back(id);
      std::erase(held, id);
      moved = true;
      break;
    }
  }
  for (uint32_t i = 0; i < shards_.size(); ++i) {
    const ShardId id{i};
    const auto planned = [id](const Move& move) { return move.shard == id; };
    for (const ShardStatus& replica : copies_[i].replicas) {
      if (!drains.contains(replica.host) || replica.replaces) continue;
      if (std::ranges::any_of(plan.moves, planned)) break;  // One at a time.
      const std::optional<uint32_t> to = least(id, false);
      if (!to) return stuck(id), plan;
      plan.moves.push_back({id, replica.copy, replica.host, *to, false});
      ++replicas[*to];
    }
  }
  return plan;
}

void Coordinator::On(const Rebalance& request, TimePoint now, const Envelope& from,
                     Outbox& outbox) {
  if (!KnowsHosts(now)) return;  // Who asks asks again.
  const Balance plan = Plan(request.drained, now);
  for (const Move& move : plan.moves) {
    if (request.begin && move.words.empty() && plan.problem.empty()) Begin(move);
  }
  Send(from.peer, from.stamp.from, plan, outbox);
}

void Coordinator::Begin(const Move& move) {
  Copies& copies = copies_[move.shard.value];
  const auto there = std::ranges::find(copies.replicas, move.to, &ShardStatus::host);
  if (there != copies.replicas.end()) {
    there->takes_over = true;
    return;
  }
  ShardStatus& added = copies.replicas.emplace_back();
  added.copy = copies.given++;
  added.host = move.to;
  added.replaces = move.copy;
  ++hosting_;
  changed_ = true;
}

void Coordinator::CheckMoves(TimePoint now, Outbox& outbox) {
  if (!MoveProblem({}).empty()) return;
  EmptyLeaving(now);
  for (uint32_t i = 0; i < shards_.size(); ++i) {
    const ShardId id{i};
    if (MoverOf(id) != nullptr) FinishMove(id, now, outbox);
    std::vector<ShardStatus>& replicas = copies_[i].replicas;
    const auto wanted = std::ranges::find(replicas, true, &ShardStatus::takes_over);
    if (wanted != replicas.end()) TakeOver(id, *wanted, now, outbox);
  }
}

// It is not told before the cut that is under way is over.
void Coordinator::TakeOver(ShardId id, ShardStatus& copy, TimePoint now, Outbox& outbox) {
  if (!copy.in_sync || phase_ != Phase::kIdle || saving_) return;
  if (IsHere(copy, now)) {
    MakePrimary(id, copy, now);
  } else {
    AskForAWord(id, copy, now, outbox);
  }
}

// Where its server is gone, so is the copy: the next plan makes another. One that was waited for
// may be all there is of the shard.
void Coordinator::FinishMove(ShardId id, TimePoint now, Outbox& outbox) {
  std::vector<ShardStatus>& replicas = copies_[id.value].replicas;
  ShardStatus& mover = *std::ranges::find(replicas, MoverOf(id)->copy, &ShardStatus::copy);
  if (*mover.replaces == mover.copy) return;  // See LetRetire.
  const ShardStatus& primary = shards_[id.value];
  const bool silent = !mover.registered || Silent(mover, now);
  if (!HostLives(mover.host, now) && silent) {
    if (mover.in_sync && Silent(primary, now)) return;
    RemoveCopy(id, mover.copy);
    SendReplicas(id, outbox);
    return;
  }
  const uint32_t replaced = *mover.replaces;
  if (replaced == primary.copy) {
    TakeOver(id, mover, now, outbox);
  } else if (mover.in_sync && IsHere(mover, now)) {
    const uint32_t copy = mover.copy;
    RemoveCopy(id, replaced);
    std::ranges::find(replicas, copy, &ShardStatus::copy)->replaces.reset();
    SendReplicas(id, outbox);
  } else if (mover.in_sync) {
    AskForAWord(id, mover, now, outbox);
  }
}

// A primary that nobody could take the place of goes to another server before its own ends.
void Coordinator::EmptyLeaving(TimePoint now) {
  std::vector<uint32_t> leaving;
  for (const auto& [index, host] : hosts_) {
    if (host.leaving && now <= host.lease_until) leaving.push_back(index);
  }
  if (leaving.empty()) return;
  const Balance plan = Plan(leaving, now);
  for (const Move& move : plan.moves) {
    const bool goes = std::ranges::find(leaving, move.from) != leaving.end();
    if (!goes || !move.primary || !move.words.empty()) continue;
    if (HeirOf(move.shard, now) == nullptr) Begin(move);
  }
}

}  // namespace shardmill
