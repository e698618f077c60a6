#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "common/data_lease.h"
#include "common/data_scheme.h"

namespace shardmill {

// How the rows of a data set are shared out.
struct BatchPlan {
  uint64_t seed = 0;
  uint32_t rank = 0;
  uint32_t workers = 1;
  uint32_t batch_rows = 1;
  DataScheme scheme = DataScheme::kRandom;
};

// Which rows are in which of this worker's batches: for each epoch those that the plan's scheme
// deals it are shuffled anew. All ranks together see each row once an epoch, or with kOverlap once
// a rank. A function of the plan, the epoch and the step in the epoch, and so a worker that starts
// again goes on as if it had not stopped. A value of one thread; the plan was checked where it was
// read (rank < workers, at least one row a batch).
class BatchOrder final {
 public:
  BatchOrder(uint64_t rows, const BatchPlan& plan);

  // The same for all ranks. In the last ones a rank may have fewer rows than others, or none.
  uint64_t steps_per_epoch() const { return steps_per_epoch_; }
  // Of this rank, in each epoch.
  uint64_t rows_per_epoch() const { return deal_.end - deal_.begin; }

  // Borrowed until the next call. step < steps_per_epoch().
  std::span<const uint32_t> RowsOf(uint64_t epoch, uint64_t step);
  // At these places of the epoch's order; with kLeased.
  std::span<const uint32_t> RowsOf(const DataRange& places);

  // What a model that wants chance begins from with such a batch.
  uint64_t ChanceOf(uint64_t epoch, uint64_t step) const;
  uint64_t ChanceOf(const DataRange& places) const;

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
  uint64_t ChanceOf(uint64_t epoch) const;

  BatchPlan plan_;
  Deal deal_;
  uint64_t steps_per_epoch_;
  std::optional<uint64_t> shuffled_epoch_;
  std::vector<uint32_t> order_;  // Of deal_.rows rows.
};

}  // namespace shardmill
