#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/data_lease.h"
#include "common/messages.h"

namespace shardmill {

// How data is leased.
struct DataPlan {
  bool leased = false;  // Or else each worker knows by itself what it reads.
  uint64_t epochs = 1;
  uint64_t batch = 1;  // Rows of one step of one worker.
  uint64_t chunk = 0;  // Rows; 0: some batches, and so few that each worker has several an epoch.
  uint32_t ahead = 2;  // Leases that a rank has at once, so that it need not wait for the next.
};

// Who may use which part of the data: epochs are cut into chunks, which ranks lease in order, and
// what a rank leaves unused comes back. So each place of each epoch is used once, whoever comes and
// goes. A pure state machine, owned by a Coordinator; what it gives must be on disk before it is
// said.
class DataLeases final {
 public:
  DataLeases(const DataPlan& plan, uint32_t workers) : plan_(plan), workers_(workers) {}

  // Goes on from there. Nothing may have been leased.
  void Restore(const DataState& state) { state_ = state; }

  // So many rows has the data set. Words where somebody has said another number.
  std::string Begin(uint64_t rows);

  // What the rank has used: every shard has it. Whether that changed anything.
  bool Use(WorkerId rank, DataCursor used);
  // Leases to the rank what it may have. Whether that was anything.
  bool Grant(WorkerId rank);
  // The rank is somebody else's, or nobody's, from a cut on: what it has not used there comes back.
  void Return(WorkerId rank, DataCursor used);

  std::vector<DataLease> HeldAfter(WorkerId rank, uint64_t seq) const;
  // All of every epoch is used, and whoever used it has heard that its steps are over.
  bool Over() const;
  // Places in all epochs; 0: not known yet.
  uint64_t Places() const { return state_.rows * plan_.epochs; }

  const DataState& state() const { return state_; }
  // The same as it is where nobody goes on after that cut: nothing is held.
  DataState AtCut(const std::vector<RankState>& cut) const;

 private:
  DataState::Rank& RankOf(WorkerId rank);

  DataPlan plan_;
  uint32_t workers_;
  DataState state_;
};

}  // namespace shardmill
