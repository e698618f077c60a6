#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "common/ids.h"
#include "common/messages.h"
#include "common/view.h"
#include "server/log_entry.h"

namespace shardmill {

// Who has finished what on one shard, and so: may this read go now? Owned by a Shard, on its
// thread. Every call that takes a rank wants a member of the view; anything else is our own bug.
class StepTracker final {
 public:
  // Takes the members and the policy of a view. What a rank has ended stays, also for ranks that
  // have left: they may come back.
  void Install(const View& view);
  // Goes on from what was ended elsewhere. Nothing may have ended here.
  void Restore(const std::vector<RankState>& cut);

  Step Ended(WorkerId rank) const { return At(rank).ended; }

  // The rank's step is over here, applied or discarded. It must be the one after Ended(rank).
  void Finish(const Contribution& made);

  // Whether the step was applied, of one that is over: true of each that came before the last.
  bool Counted(WorkerId rank, Step step) const { return step <= At(rank).counted; }

  // The round that a step of the rank belongs to, counted from 1.
  uint64_t RoundOf(WorkerId rank, Step step) const;

  // Rounds that every member has finished, now or when it was one.
  uint64_t Closed() const { return closed_; }

  // Rounds that the rank has finished when it is about to make `step`: the round that it reads for.
  uint64_t ReadRound(WorkerId rank, Step step) const;

  // The read rule. `closed_min` is a floor of the reader's own.
  bool MayRead(WorkerId rank, Step step, uint64_t closed_min) const;

  // The member that has finished the fewest rounds; the lowest rank of several. None: no members.
  std::optional<WorkerId> Slowest() const;

  std::vector<RankState> States() const;

 private:
  struct Rank {
    Step ended = 0;
    double samples = 0;
    uint64_t applied = 0;
    Step counted = 0;
    uint64_t discarded = 0;
    uint32_t attempt = 0;
    DataCursor used;
    int64_t base = 0;
    bool member = false;
  };

  const Rank& At(WorkerId rank) const;
  void Recount();

  Policy policy_;
  std::map<WorkerId, Rank> ranks_;
  uint64_t closed_min_ = 0;  // As the view says.
  uint64_t closed_ = 0;
};

}  // namespace shardmill
