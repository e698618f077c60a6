#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "common/ids.h"
#include "common/messages.h"
#include "common/view.h"
#include "server/shard.h"
#include "sim/probe_model.h"
#include "sim/shadow.h"

namespace shardmill::sim {

// What must be true of a history, checked as it happens: by what shards do (an observer of each),
// by what workers see, and by what is there at rest. Owned by a Cluster.
class Ledger final {
 public:
  Ledger(const ProbeModel& model, const Policy& policy);
  ~Ledger();

  ShardObserver* ObserverOf(ShardId shard);

  // Of workers.
  void Attempt(WorkerId rank, Step step);
  // Acked steps and beginnings by incarnation: what an earlier one was told, a later one goes on
  // from.
  void Ack(const Sender& sender, Step step, bool counted);
  void Begin(const Sender& sender, Step step);
  // A push of the step was refused to its worker, which leaves and says why.
  void Rejected(WorkerId rank, Step step);
  // What a pull of the probe for `step` showed.
  void SawPull(WorkerId rank, Step step, std::span<const float> probe, uint64_t staleness);

  // An answer comes to a worker: its bytes are those with which it left.
  void SawAnswer(ShardId shard, BootId reader, const Pulled& pulled);
  // What a shard says right after it took a view.
  void SawCut(ShardId shard, const std::vector<RankState>& cut,
              const std::vector<RankState>& states);
  // What a shard holds at rest; `done`: after all steps.
  void SawEnd(ShardId shard, const Shard& state, bool done);
  // Whether the job, which failed, had to fail, and says for whom.
  void SawFailure(const std::string& words);
  void Violation(std::string words) { violations_.push_back(std::move(words)); }

  const std::vector<std::string>& violations() const { return violations_; }
  uint64_t discarded() const { return discarded_; }

  // Whether the worker's step counts: false also of one that was discarded.
  bool Counts(uint32_t worker, Step step) const;

  // Everything has ended, and begins again from that cut: what came after it has not happened.
  // Without one, nothing has.
  void RollBack(JobId job, ViewNumber view, const std::vector<RankState>& cut);

 private:
  class Observer;

  // What became of a step: all shards must agree.
  enum class Fate : uint8_t { kOpen, kApplied, kDiscarded };

  Fate& FateOf(uint32_t worker, Step step) { return fates_[worker * model_.steps() + step - 1]; }
  // How many of the worker's first steps count, and touch the shard.
  uint64_t CountUpTo(uint32_t worker, Step step, uint32_t shard) const;
  void SawApplied(ShardId shard, const LogEntry& entry);
  bool SawMade(ShardId shard, const Contribution& made);

  const ProbeModel& model_;
  Policy policy_;
  std::vector<Step> attempted_;
  std::map<std::pair<WorkerId, Incarnation>, Step> acked_;  // The last step.
  std::map<std::pair<WorkerId, Incarnation>, Step> begun_;  // The first step.
  std::vector<Fate> fates_;                                 // By rank, then step.
  std::set<std::pair<WorkerId, Step>> rejected_;
  uint64_t discarded_ = 0;
  std::map<std::pair<uint32_t, uint32_t>, Step> applied_;  // By shard and worker, the last step.
  std::vector<std::unique_ptr<Observer>> observers_;
  std::vector<std::unique_ptr<Shadow>> shadows_;  // By shard.
  // The shadows as they were when a shard took a view, in any life of the job.
  std::map<std::tuple<JobId, ViewNumber, ShardId>, Shadow> cuts_;
  // What was served: shard, reader's process, pull, and a checksum. A pull may be asked again.
  std::set<std::tuple<uint32_t, uint64_t, uint64_t, uint64_t>> served_;
  std::vector<std::string> violations_;
};

}  // namespace shardmill::sim
