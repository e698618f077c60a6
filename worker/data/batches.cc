#include "worker/data/batches.h"

#include <algorithm>
#include <span>
#include <utility>

#include "common/assert.h"
#include "common/rng.h"

namespace shardmill {
namespace {

// Keep the chance of shuffling and that of models apart from what else the job's seed is used for.
constexpr uint64_t kShuffling = 0x73687566666c6531;
constexpr uint64_t kModelChance = 0x6d6f64656c636831;

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
      deal_(DealOf(data.rows, plan)),
      steps_per_epoch_(StepsPerEpoch(data.rows, plan)),
      order_(deal_.rows) {
  const uint64_t rows_max = std::min<uint64_t>(plan.batch_rows, deal_.end - deal_.begin);
  inputs_.resize(rows_max * data.row_size);
  labels_.resize(rows_max);
}

Batches::Deal Batches::DealOf(uint64_t rows, const BatchPlan& plan) {
  const uint64_t begin = PartBegin(rows, plan.rank, plan.workers);
  const uint64_t end = PartBegin(rows, uint64_t{plan.rank} + 1, plan.workers);
  switch (plan.scheme) {
    case DataScheme::kContiguous:
      return {.first = begin, .rows = end - begin, .end = end - begin};
    case DataScheme::kRoundRobin: {
      const uint64_t own = rows > plan.rank ? RoundedUp(rows - plan.rank, plan.workers) : 0;
      return {.first = plan.rank, .stride = plan.workers, .rows = own, .end = own};
    }
    case DataScheme::kRandom:
      return {.rows = rows, .begin = begin, .end = end, .in_common = true};
    case DataScheme::kOverlap:
      return {.rows = rows, .end = rows};
    case DataScheme::kLeased:
      return {.rows = rows, .end = rows, .in_common = true};
  }
  SM_ASSERT(false);
}

// By the rank with most rows, so that all ranks make the same steps.
uint64_t Batches::StepsPerEpoch(uint64_t rows, const BatchPlan& plan) {
  const bool all = plan.scheme == DataScheme::kOverlap || plan.scheme == DataScheme::kLeased;
  return RoundedUp(all ? rows : RoundedUp(rows, plan.workers), plan.batch_rows);
}

Batch Batches::At(uint64_t epoch, uint64_t step) {
  SM_ASSERT(step < steps_per_epoch_);
  Shuffle(epoch);
  const uint64_t first = std::min(deal_.begin + step * plan_.batch_rows, deal_.end);
  return Read(first, std::min<uint64_t>(plan_.batch_rows, deal_.end - first),
              Mix(Mix(ChanceOf(epoch) + plan_.rank) + step));
}

Batch Batches::At(const DataRange& places) {
  SM_ASSERT(leased() && places.end <= order_.size() && places.size() <= plan_.batch_rows);
  Shuffle(places.epoch);
  return Read(places.begin, places.size(), Mix(ChanceOf(places.epoch) + places.begin));
}

uint64_t Batches::ChanceOf(uint64_t epoch) const {
  return Mix(Mix(plan_.seed ^ kModelChance) + epoch);
}

Batch Batches::Read(uint64_t first, uint64_t count, uint64_t chance) {
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
      .chance = chance,
  };
}

// By Fisher and Yates, from the order of the file, so that no epoch depends on the one before.
void Batches::Shuffle(uint64_t epoch) {
  if (shuffled_epoch_ == epoch) return;
  for (size_t index = 0; index < order_.size(); ++index) {
    order_[index] = static_cast<uint32_t>(deal_.first + index * deal_.stride);
  }
  const uint64_t chance = Mix(Mix(plan_.seed ^ kShuffling) + epoch);
  Rng rng(deal_.in_common ? chance : Mix(chance + plan_.rank));
  for (size_t left = order_.size(); left > 1; --left) {
    std::swap(order_[left - 1], order_[rng.Below(left)]);
  }
  shuffled_epoch_ = epoch;
}

}  // namespace shardmill
