#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "client/model.h"
#include "worker/data/data_set.h"

namespace shardmill {

// How the rows of a data set are shared out.
struct BatchPlan {
  uint64_t seed = 0;
  uint32_t rank = 0;
  uint32_t workers = 1;
  uint32_t batch_rows = 1;
};

// This worker's batches: for each epoch the rows are shuffled anew and cut into one part a rank, so
// that all ranks together see each row once. What a batch holds is a function of the seed, the
// epoch, the rank, the number of workers and the step in the epoch, and so a worker that starts
// again goes on as if it had not stopped. Owned by a trainer and used on its thread; the data set
// must outlive it. Cannot fail: a plan is checked where it is read (rank < workers, at least one
// row a batch).
class Batches final {
 public:
  Batches(const DataSet& data, const BatchPlan& plan);

  // The same for all ranks. In the last ones a rank may have fewer rows than others, or none.
  uint64_t steps_per_epoch() const { return steps_per_epoch_; }

  // Borrowed until the next call. step < steps_per_epoch().
  Batch At(uint64_t epoch, uint64_t step);

 private:
  void Shuffle(uint64_t epoch);

  const DataSet& data_;
  const BatchPlan plan_;
  const uint64_t begin_;  // This rank's part of each permutation.
  const uint64_t end_;
  const uint64_t steps_per_epoch_;
  std::optional<uint64_t> shuffled_epoch_;
  std::vector<uint32_t> order_;
  std::vector<float> inputs_;
  std::vector<uint32_t> labels_;
};

}  // namespace shardmill
