#include "sim/ledger.h"

#include <algorithm>
#include <cmath>

namespace shardmill::sim {
namespace {

std::string Name(WorkerId rank) { return "worker " + std::to_string(rank.value); }

}  // namespace

Ledger::Ledger(uint32_t workers, uint32_t shards, const Policy& policy)
    : shards_(shards), policy_(policy), attempted_(workers) {}

void Ledger::Attempt(WorkerId rank, Step step) {
  Step& most = attempted_[rank.value];
  most = std::max(most, step);
}

void Ledger::Ack(const Sender& sender, Step step) {
  Step& last = acked_[{sender.rank, sender.incarnation}];
  last = std::max(last, step);
  for (const auto& [who, first] : begun_) {
    if (who.first != sender.rank || who.second <= sender.incarnation || first > step) continue;
    Violation(Name(sender.rank) + " was acked step " + std::to_string(step) +
              ", which a later incarnation makes again");
  }
}

void Ledger::Begin(const Sender& sender, Step step) {
  begun_[{sender.rank, sender.incarnation}] = step;
  for (const auto& [who, last] : acked_) {
    if (who.first != sender.rank || who.second >= sender.incarnation || last < step) continue;
    Violation(Name(sender.rank) + " begins at step " + std::to_string(step) + ", but step " +
              std::to_string(last) + " was acked");
  }
}

void Ledger::SawPull(WorkerId rank, Step step, std::span<const float> probe, uint64_t staleness) {
  const uint64_t round = step - 1;
  if (policy_.bounded && staleness > policy_.staleness) {
    Violation(Name(rank) + " was served with staleness " + std::to_string(staleness));
  }
  for (uint32_t shard = 0; shard < shards_; ++shard) {
    for (uint32_t worker = 0; worker < attempted_.size(); ++worker) {
      const float value = probe[Index(shard, worker)];
      const std::string where = "n[" + std::to_string(worker) + "] = " + std::to_string(value) +
                                " on shard " + std::to_string(shard) + ", read by " + Name(rank) +
                                " for step " + std::to_string(step);
      const auto n = static_cast<uint64_t>(std::lround(value));
      if (policy_.bounded && n + policy_.staleness < round) Violation("too stale: " + where);
      if (n > attempted_[worker]) Violation("more than was pushed: " + where);
      if (n < (worker == rank.value ? round : 0)) Violation("misses the reader's own: " + where);
      if (static_cast<float>(n) != value) Violation("not a whole number: " + where);
    }
  }
}

void Ledger::SawCut(ShardId shard, const std::vector<RankState>& cut,
                    const std::vector<RankState>& states) {
  for (const RankState& want : cut) {
    for (const RankState& have : states) {
      if (have.rank != want.rank || have.ended == want.ended) continue;
      Violation("after a cut " + Name(want.rank) + " stands at step " + std::to_string(have.ended) +
                " on shard " + std::to_string(shard.value) + ", and the cut is " +
                std::to_string(want.ended));
    }
  }
}

void Ledger::SawEnd(ShardId shard, std::span<const float> probe, Step steps,
                    const std::vector<RankState>& states) {
  for (uint32_t worker = 0; worker < attempted_.size(); ++worker) {
    const float value = probe[worker];
    if (value != static_cast<float>(steps)) {
      Violation("at rest n[" + std::to_string(worker) + "] = " + std::to_string(value) +
                " on shard " + std::to_string(shard.value) + ", and " + std::to_string(steps) +
                " steps were made");
    }
  }
  for (const RankState& state : states) {
    if (state.ended == steps && state.applied == steps) continue;
    Violation("at rest shard " + std::to_string(shard.value) + " has ended " +
              std::to_string(state.ended) + " and applied " + std::to_string(state.applied) +
              " steps of " + Name(state.rank));
  }
}

}  // namespace shardmill::sim
