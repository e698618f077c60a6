#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "client/model.h"
#include "common/data_lease.h"
#include "common/data_scheme.h"
#include "worker/data/data_set.h"

namespace shardmill {

// How the rows of a data set are shared out.
struct BatchPlan {
  uint64_t seed = 0;
  uint32_t rank = 0;
  uint32_t workers = 1;
  uint32_t batch_rows = 1;
  DataScheme scheme = DataScheme::kRandom;
};

// This worker's batches: for each epoch the rows that the plan's scheme deals it are shuffled anew.
// All ranks together see each row once an epoch, or with kOverlap once a rank. What a batch holds
// is a function of the plan, the epoch and the step in the epoch, and so a worker that starts again
// goes on as if it had not stopped. Owned by a trainer and used on its thread; the data set must
// outlive it. Cannot fail: a plan is checked where it is read (rank < workers, at least one row a
// batch).
class Batches final {
 public:
  Batches(const DataSet& data, const BatchPlan& plan);

  // The same for all ranks. In the last ones a rank may have fewer rows than others, or none.
  uint64_t steps_per_epoch() const { return steps_per_epoch_; }

  // Of this rank, in each epoch.
  uint64_t rows_per_epoch() const { return deal_.end - deal_.begin; }

  // Of one rank. With kLeased: of the whole data set.
  uint32_t batch_rows() const { return plan_.batch_rows; }
  bool leased() const { return plan_.scheme == DataScheme::kLeased; }

  // Borrowed until the next call. step < steps_per_epoch().
  Batch At(uint64_t epoch, uint64_t step);
  // The rows at these places of the epoch's order, batch_rows() at most; with kLeased.
  Batch At(const DataRange& places);

 private:
  // What a scheme comes to for one rank: the rows first, first + stride and so on, so many of them,
  // are shuffled, and the rank goes through the places [begin, end) of what comes out.
  struct Deal {
    uint64_t first = 0;
    uint64_t stride = 1;
    uint64_t rows = 0;
    uint64_t begin = 0;
    uint64_t end = 0;
    bool in_common = false;  // All ranks shuffle the same rows into the same order.
  };

  static Deal DealOf(uint64_t rows, const BatchPlan& plan);
  static uint64_t StepsPerEpoch(uint64_t rows, const BatchPlan& plan);
  void Shuffle(uint64_t epoch);
  // Of models that want some, in an epoch.
  uint64_t ChanceOf(uint64_t epoch) const;
  Batch Read(uint64_t first, uint64_t count, uint64_t chance);

  const DataSet& data_;
  const BatchPlan plan_;
  const Deal deal_;
  const uint64_t steps_per_epoch_;
  std::optional<uint64_t> shuffled_epoch_;
  std::vector<uint32_t> order_;  // Of deal_.rows rows.
  std::vector<float> inputs_;
  std::vector<uint32_t> labels_;
};

}  // namespace shardmill
