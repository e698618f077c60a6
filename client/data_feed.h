#pragma once

#include <cstdint>
#include <vector>

#include "common/data_lease.h"
#include "common/messages.h"

namespace shardmill {

// A worker's leases of data: what it may use, what the step under way takes of it, and what is used
// up. A pure state machine, owned by a PsClient, on its thread.
class DataFeed final {
 public:
  // `rows`: of the data set.
  explicit DataFeed(uint64_t rows) : rows_(rows) {}

  uint64_t rows() const { return rows_; }
  void Take(const Leased& leased);
  // Whether there is something to ask for, and whether there is something to tell: a lease was used
  // up.
  bool Wants() const { return !over_ && (HasNews() || held_.empty()); }
  bool HasNews() const { return told_ != used_.seq; }
  GetLease Request(const Sender& sender);

  // All data of the job is used, by everybody.
  bool over() const { return over_; }
  // Whether the step under way may take more.
  bool ready() const { return taken_lease_ < held_.size(); }

  // For the step under way: so many places at most, of one lease. None where there is nothing.
  DataRange Next(uint64_t places_max);
  // The cursor that the step's end has.
  DataCursor taken() const;
  void FinishStep();
  void AbandonStep();

 private:
  uint64_t rows_;
  bool over_ = false;
  uint64_t last_ = 0;  // The seq of the last lease that was heard of.
  uint64_t told_ = 0;  // The seq of the cursor that was told last.
  std::vector<DataLease> held_;
  DataCursor used_;            // By steps that are over.
  size_t taken_lease_ = 0;     // By the step under way: the lease, of held_,
  uint64_t taken_offset_ = 0;  // and the place in it, where it goes on.
};

}  // namespace shardmill
