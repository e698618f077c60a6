#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
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
  // `promotions`: a shard may get another primary, which lacks what the one before it did last.
  Ledger(const ProbeModel& model, const Policy& policy, bool promotions);
  ~Ledger();

  // Of one process that holds a copy of the shard. Only what its primary does has happened.
  ShardObserver* ObserverOf(ShardId shard, BootId process);
  // The process is the primary from now on, with so many entries: what the one before it did beyond
  // them, and has shown nobody, has not happened.
  void Promoted(ShardId shard, BootId process, uint64_t version);

  // Of workers, each under the generation that it is in.
  // A step is tried, with that data where it is leased.
  void Attempt(Generation generation, const Sender& sender, Step step,
               std::vector<DataRange> data = {});
  // Acked steps and beginnings by incarnation: what an earlier one was told, a later one goes on
  // from.
  void Ack(Generation generation, const Sender& sender, Step step, bool counted);
  void Begin(Generation generation, const Sender& sender, Step step);
  // A process is about to make a step: it goes back with a generation alone.
  void SawStep(BootId process, Generation generation, Step step);
  // A push of the step was refused to its worker, which leaves and says why.
  void Rejected(WorkerId rank, Step step);
  // What a pull of the probe for `step` showed.
  void SawPull(Generation generation, const Sender& sender, Step step, std::span<const float> probe,
               uint64_t staleness);

  // An answer comes to a worker: its bytes are those with which it left.
  void SawAnswer(ShardId shard, BootId reader, const Pulled& pulled);
  // What a shard says after it took a view, and perhaps has closed a round. One that is no primary
  // any more may still take an old view, and proves nothing.
  void SawCut(ShardId shard, BootId process, const std::vector<RankState>& cut,
              const std::vector<RankState>& states);
  // What a shard holds at rest; `done`: after all steps.
  void SawEnd(ShardId shard, const Shard& state, bool done);
  // Where data is leased: each place of each epoch is used once.
  void SawData(uint64_t epochs, uint64_t rows);
  // Whether the job, which failed, had to fail, and says for whom.
  void SawFailure(const std::string& words);
  void Violation(std::string words) { violations_.push_back(std::move(words)); }

  const std::vector<std::string>& violations() const { return violations_; }
  uint64_t discarded() const { return Last().discarded; }
  uint64_t acks() const { return acks_; }  // That workers have had.

  // Whether the worker's step counts: false also of one that was discarded.
  bool Counts(uint32_t worker, Step step) const { return Counts(Last(), worker, step); }

  // Everything has ended, and begins again from that snapshot: what came after it has not happened.
  // Without one, nothing has. `ranks`: so many go on; others that come later begin at their first
  // step.
  void BeginAnew(const Manifest* from, uint32_t ranks);
  // The job goes on from that snapshot, or from nothing, under a later generation; what there is of
  // the one before it may still be on its way.
  void RollBack(Generation generation, const Manifest* from, uint32_t ranks);
  bool Knows(Generation generation) const { return lives_.contains(generation); }

 private:
  class Observer;

  // What became of a step: all shards must agree.
  enum class Fate : uint8_t { kOpen, kApplied, kDiscarded };

  struct Made {
    Fate fate = Fate::kOpen;
    // Where data is leased:
    double samples = 0;
    int64_t round = 0;
    std::vector<DataRange> data = {};
  };

  // What has happened on one shard.
  struct OnShard {
    Shadow shadow;
    std::map<uint32_t, Step> applied;     // By worker, the last step,
    std::map<uint32_t, DataCursor> used;  // and what that says of data.
    // Both, as they were when the shard took its last view; and that view.
    std::map<WorkerId, std::pair<Step, DataCursor>> at_view;
    View view;
    uint64_t closed = 0;  // Rounds, as it has last said.
  };

  // What a shard was after an entry: all of it where it took a view, else what the entry has made
  // of what it was before.
  struct Past {
    std::optional<OnShard> whole;
    std::vector<Contribution> made = {};
    uint64_t closed = 0;
  };

  // What has happened under one generation.
  struct Life {
    std::vector<Step> attempted;
    std::map<std::pair<WorkerId, Incarnation>, Step> acked;  // The last step.
    std::map<std::pair<WorkerId, Incarnation>, Step> begun;  // The first step.
    std::vector<std::vector<Made>> made;                     // By rank, then step.
    std::vector<std::vector<Made>> past;  // The same of ranks that have begun anew.
    uint64_t discarded = 0;
    // Where data is leased: what each life of a rank took for a step, and where it begins.
    std::map<std::tuple<WorkerId, Incarnation, Step>, std::vector<DataRange>> taken;
    std::map<std::pair<WorkerId, Incarnation>, int64_t> bases;
    std::vector<OnShard> shards;
    // Of each shard, what it was after so many entries.
    std::vector<std::map<uint64_t, Past>> past_shards;
  };

  Life& LifeOf(Generation generation) { return lives_.at(generation); }
  const Life& Last() const { return lives_.rbegin()->second; }
  static Made& At(Life& life, uint32_t worker, Step step);
  void SawView(Life& life, ShardId shard, const View& view);
  // What a promotion may need.
  void Keep(Life& life, ShardId shard, uint64_t version);
  void Keep(Life& life, ShardId shard, const LogEntry& entry);
  void TakeOver(Life& life, ShardId shard, const Observer& by, uint64_t version);
  static OnShard LastOf(const std::map<uint64_t, Past>& past);
  void SawLeased(Life& life, ShardId shard, const Contribution& made);
  void SawServed(Life& life, ShardId shard, const Pulled& answer);
  // The fewest of the worker's steps that the pull must show on the shard, and the most that it
  // may.
  std::pair<uint64_t, uint64_t> Bounds(const Life& life, uint32_t worker, uint32_t shard,
                                       const Sender& reader, Step step) const;
  bool Counts(const Life& life, uint32_t worker, Step step) const;
  // How many of the worker's first steps count, and touch the shard.
  uint64_t CountUpTo(const Life& life, uint32_t worker, Step step, uint32_t shard) const;
  void SawApplied(Life& life, ShardId shard, const LogEntry& entry);
  bool SawMade(Life& life, ShardId shard, const Contribution& made);

  const ProbeModel& model_;
  Policy policy_;
  bool promotions_;
  uint64_t acks_ = 0;
  std::map<Generation, Life> lives_;
  std::set<std::pair<WorkerId, Step>> rejected_;
  std::map<BootId, std::pair<Generation, Step>> steps_;  // The last of each process.
  std::map<BootId, std::unique_ptr<Observer>> observers_;
  std::vector<BootId> primaries_;  // By shard.
  // The shadows as they were when a shard took a view, in any life of the job.
  std::map<std::tuple<JobId, ViewNumber, ShardId>, Shadow> cuts_;
  // What was served: shard, reader's process, pull, and a checksum. A pull may be asked again.
  std::set<std::tuple<uint32_t, uint64_t, uint64_t, uint64_t>> served_;
  std::vector<std::string> violations_;
};

}  // namespace shardmill::sim
