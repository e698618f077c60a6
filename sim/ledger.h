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
#include "snapshot/manifest.h"

namespace shardmill::sim {

// What must be true of a history, checked as it happens: by what shards do (an observer of each),
// by what workers see, and by what is there at rest. Owned by a Cluster.
class Ledger final {
 public:
  Ledger(const ProbeModel& model, const Policy& policy);
  ~Ledger();

  ShardObserver* ObserverOf(ShardId shard);

  // Of workers, each under the generation that it is in.
  void Attempt(Generation generation, WorkerId rank, Step step);
  // Acked steps and beginnings by incarnation: what an earlier one was told, a later one goes on
  // from.
  void Ack(Generation generation, const Sender& sender, Step step, bool counted);
  void Begin(Generation generation, const Sender& sender, Step step);
  // A process is about to make a step: it goes back with a generation alone.
  void SawStep(BootId process, Generation generation, Step step);
  // A push of the step was refused to its worker, which leaves and says why.
  void Rejected(WorkerId rank, Step step);
  // What a pull of the probe for `step` showed.
  void SawPull(Generation generation, WorkerId rank, Step step, std::span<const float> probe,
               uint64_t staleness);

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
  uint64_t discarded() const { return Last().discarded; }

  // Whether the worker's step counts: false also of one that was discarded.
  bool Counts(uint32_t worker, Step step) const { return Counts(Last(), worker, step); }

  // Everything has ended, and begins again from that snapshot: what came after it has not happened.
  // Without one, nothing has.
  void BeginAnew(const Manifest* from);
  // The job goes on from that snapshot, or from nothing, under a later generation; what there is of
  // the one before it may still be on its way.
  void RollBack(Generation generation, const Manifest* from);
  bool Knows(Generation generation) const { return lives_.contains(generation); }

 private:
  class Observer;

  // What became of a step: all shards must agree.
  enum class Fate : uint8_t { kOpen, kApplied, kDiscarded };

  // What has happened under one generation.
  struct Life {
    std::vector<Step> attempted;
    std::map<std::pair<WorkerId, Incarnation>, Step> acked;  // The last step.
    std::map<std::pair<WorkerId, Incarnation>, Step> begun;  // The first step.
    std::vector<Fate> fates;                                 // By rank, then step.
    uint64_t discarded = 0;
    std::map<std::pair<uint32_t, uint32_t>, Step> applied;  // By shard and worker, the last step.
    std::vector<std::unique_ptr<Shadow>> shadows;           // By shard.
  };

  Life& LifeOf(Generation generation) { return lives_.at(generation); }
  const Life& Last() const { return lives_.rbegin()->second; }
  Fate& FateOf(Life& life, uint32_t worker, Step step) const {
    return life.fates[worker * model_.steps() + step - 1];
  }
  bool Counts(const Life& life, uint32_t worker, Step step) const;
  // How many of the worker's first steps count, and touch the shard.
  uint64_t CountUpTo(const Life& life, uint32_t worker, Step step, uint32_t shard) const;
  void SawApplied(Life& life, ShardId shard, const LogEntry& entry);
  bool SawMade(Life& life, ShardId shard, const Contribution& made);

  const ProbeModel& model_;
  Policy policy_;
  std::map<Generation, Life> lives_;
  std::set<std::pair<WorkerId, Step>> rejected_;
  std::map<BootId, std::pair<Generation, Step>> steps_;  // The last of each process.
  std::vector<std::unique_ptr<Observer>> observers_;
  // The shadows as they were when a shard took a view, in any life of the job.
  std::map<std::tuple<JobId, ViewNumber, ShardId>, Shadow> cuts_;
  // What was served: shard, reader's process, pull, and a checksum. A pull may be asked again.
  std::set<std::tuple<uint32_t, uint64_t, uint64_t, uint64_t>> served_;
  std::vector<std::string> violations_;
};

}  // namespace shardmill::sim
