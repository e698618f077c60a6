#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "client/model.h"
#include "common/data_lease.h"
#include "worker/data/batch_order.h"
#include "worker/data/distinct_keys.h"
#include "worker/data/read_ahead.h"
#include "worker/data/sample_store.h"

namespace shardmill {

// The inputs of batches that name rows of sparse parameters: each once.
std::vector<size_t> KeyedInputs(std::span<const ParameterSpec> parameters);

// Makes batches of a store's rows, with the keys of each input that names rows of tables. Owned by
// whoever reads, on one thread; the store must outlive it. Cannot fail.
class BatchMaker final {
 public:
  BatchMaker(const SampleStore& store, std::vector<size_t> keyed_inputs)
      : store_(store), keyed_inputs_(std::move(keyed_inputs)) {}

  // The rows of these numbers.
  void Fill(std::span<const uint32_t> numbers, GatheredRows& rows);
  // What was filled, as a model reads it; borrowed from `rows` and until the next call.
  Batch View(const GatheredRows& rows, uint64_t chance);

 private:
  const SampleStore& store_;
  const std::vector<size_t> keyed_inputs_;
  DistinctKeys distinct_;
  std::vector<ColumnView> inputs_;
};

// Some of a batch's rows as a batch, with the same keys; borrowed from it. Owned by whoever trains
// on parts of batches, on one thread; cannot fail.
class BatchPart final {
 public:
  Batch Of(const Batch& batch, uint32_t begin, uint32_t rows_max);

 private:
  std::vector<ColumnView> inputs_;
  std::vector<std::vector<uint64_t>> ends_;  // Of sparse rows, counted anew.
};

// This worker's batches, in the order that its plan has. Where it may, it makes those that come
// next on a thread of its own, and begins anew where another is asked for than the next: what a
// batch holds does not depend on that. Owned by a trainer and used on its thread; the store must
// outlive it. Cannot fail.
class Batches final {
 public:
  // `read_ahead`: batches that are made before they are asked for; 0: none, and there is no thread.
  Batches(const SampleStore& store, const BatchPlan& plan, std::vector<size_t> keyed_inputs = {},
          uint32_t read_ahead = 0);

  uint64_t steps_per_epoch() const { return order_.steps_per_epoch(); }
  uint64_t rows_per_epoch() const { return order_.rows_per_epoch(); }
  // Of one rank. With kLeased: of the whole data set.
  uint32_t batch_rows() const { return plan_.batch_rows; }
  bool leased() const { return plan_.scheme == DataScheme::kLeased; }

  // Borrowed until the next call. step < steps_per_epoch().
  Batch At(uint64_t epoch, uint64_t step);
  // The rows at these places of the epoch's order, batch_rows() at most; with kLeased.
  Batch At(const DataRange& places);

 private:
  struct Place {
    uint64_t epoch = 0;
    uint64_t step = 0;
    bool operator==(const Place&) const = default;
  };

  Place After(const Place& place) const;
  void ReadFrom(const Place& place);

  const SampleStore& store_;
  const BatchPlan plan_;
  const std::vector<size_t> keyed_inputs_;
  const uint32_t read_ahead_;
  BatchOrder order_;
  BatchMaker maker_;
  GatheredRows rows_;                 // Where nothing is read ahead.
  std::unique_ptr<ReadAhead> ahead_;  // None before the first batch.
  Place next_;                        // What it gives next.
};

}  // namespace shardmill
