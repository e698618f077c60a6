#include "worker/data/batches.h"

#include <algorithm>
#include <numeric>
#include <span>
#include <utility>

#include "common/assert.h"
#include "common/rng.h"

namespace shardmill {
namespace {

// Keeps the chance of shuffling apart from what else the job's seed is used for.
constexpr uint64_t kShuffling = 0x73687566666c6531;

uint64_t RoundedUp(uint64_t numerator, uint64_t denominator) {
  SM_ASSERT(denominator > 0);
  return numerator / denominator + (numerator % denominator != 0 ? 1 : 0);
}

uint64_t PartBegin(uint64_t rows, uint64_t rank, uint64_t workers) {
  SM_ASSERT(rank <= workers && workers > 0);
  return rows * rank / workers;
}

}  // namespace

Batches::Batches(const DataSet& data, const BatchPlan& plan)
    : data_(data),
      plan_(plan),
      begin_(PartBegin(data.rows, plan.rank, plan.workers)),
      end_(PartBegin(data.rows, uint64_t{plan.rank} + 1, plan.workers)),
      steps_per_epoch_(RoundedUp(RoundedUp(data.rows, plan.workers), plan.batch_rows)),
      order_(data.rows) {
  const uint64_t rows_max = std::min<uint64_t>(plan.batch_rows, end_ - begin_);
  inputs_.resize(rows_max * data.row_size);
  labels_.resize(rows_max);
}

Batch Batches::At(uint64_t epoch, uint64_t step) {
  SM_ASSERT(step < steps_per_epoch_);
  Shuffle(epoch);
  const uint64_t first = std::min(begin_ + step * plan_.batch_rows, end_);
  const uint64_t count = std::min<uint64_t>(plan_.batch_rows, end_ - first);
  const uint64_t row_size = data_.row_size;
  for (uint64_t index = 0; index < count; ++index) {
    const uint64_t row = order_[first + index];
    std::copy_n(data_.inputs.data() + row * row_size, row_size, inputs_.data() + index * row_size);
    labels_[index] = data_.labels[row];
  }
  return {
      .inputs = std::span<const float>(inputs_).first(count * row_size),
      .labels = std::span<const uint32_t>(labels_).first(count),
      .rows = static_cast<uint32_t>(count),
      .row_size = data_.row_size,
  };
}

// By Fisher and Yates, from the order of the file, so that no epoch depends on the one before.
void Batches::Shuffle(uint64_t epoch) {
  if (shuffled_epoch_ == epoch) return;
  std::iota(order_.begin(), order_.end(), 0U);
  Rng rng(Mix(Mix(plan_.seed ^ kShuffling) + epoch));
  for (size_t left = order_.size(); left > 1; --left) {
    std::swap(order_[left - 1], order_[rng.Below(left)]);
  }
  shuffled_epoch_ = epoch;
}

}  // namespace shardmill
