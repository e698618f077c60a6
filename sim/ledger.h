#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "common/ids.h"
#include "common/messages.h"
#include "common/view.h"

namespace shardmill::sim {

// What the probe model knows to be true. Every shard holds a number n[w] for each worker w, and a
// step of w adds one to n[w] on every shard, so that promises become arithmetic. Owned by a
// Cluster.
class Ledger final {
 public:
  Ledger(uint32_t workers, uint32_t shards, const Policy& policy);

  void Attempt(WorkerId rank, Step step);
  // Acked steps and beginnings by incarnation: what an earlier one was acked, a later one goes on
  // from.
  void Ack(const Sender& sender, Step step);
  void Begin(const Sender& sender, Step step);
  // What a pull for `step` showed: n by shard, then by worker.
  void SawPull(WorkerId rank, Step step, std::span<const float> probe, uint64_t staleness);
  // What a shard says right after it took a view.
  void SawCut(ShardId shard, const std::vector<RankState>& cut,
              const std::vector<RankState>& states);
  // What a shard holds when all is done.
  void SawEnd(ShardId shard, std::span<const float> probe, Step steps,
              const std::vector<RankState>& states);
  void Violation(std::string words) { violations_.push_back(std::move(words)); }

  const std::vector<std::string>& violations() const { return violations_; }

  // Where n[w] of a shard stands in the probe table: each shard has one line of its own.
  static uint64_t Index(uint32_t shard, uint32_t worker) { return shard * kLine + worker; }
  static constexpr uint64_t kLine = 16;

 private:
  uint32_t shards_;
  Policy policy_;
  std::vector<Step> attempted_;
  std::map<std::pair<WorkerId, Incarnation>, Step> acked_;  // The last step.
  std::map<std::pair<WorkerId, Incarnation>, Step> begun_;  // The first step.
  std::vector<std::string> violations_;
};

}  // namespace shardmill::sim
