#include "worker/data/batch_order.h"

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

BatchOrder::BatchOrder(uint64_t rows, const BatchPlan& plan)
    : plan_(plan),
      deal_(DealOf(rows, plan)),
      steps_per_epoch_(StepsPerEpoch(rows, plan)),
      order_(deal_.rows) {}

BatchOrder::Deal BatchOrder::DealOf(uint64_t rows, const BatchPlan& plan) {
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
uint64_t BatchOrder::StepsPerEpoch(uint64_t rows, const BatchPlan& plan) {
  const bool all = plan.scheme == DataScheme::kOverlap || plan.scheme == DataScheme::kLeased;
  return RoundedUp(all ? rows : RoundedUp(rows, plan.workers), plan.batch_rows);
}

std::span<const uint32_t> BatchOrder::RowsOf(uint64_t epoch, uint64_t step) {
  SM_ASSERT(step < steps_per_epoch_);
  Shuffle(epoch);
  const uint64_t first = std::min(deal_.begin + step * plan_.batch_rows, deal_.end);
  const uint64_t count = std::min<uint64_t>(plan_.batch_rows, deal_.end - first);
  return std::span<const uint32_t>(order_).subspan(first, count);
}

std::span<const uint32_t> BatchOrder::RowsOf(const DataRange& places) {
  SM_ASSERT(plan_.scheme == DataScheme::kLeased && places.end <= order_.size() &&
            places.size() <= plan_.batch_rows);
  Shuffle(places.epoch);
  return std::span<const uint32_t>(order_).subspan(places.begin, places.size());
}

uint64_t BatchOrder::ChanceOf(uint64_t epoch) const {
  return Mix(Mix(plan_.seed ^ kModelChance) + epoch);
}

uint64_t BatchOrder::ChanceOf(uint64_t epoch, uint64_t step) const {
  return Mix(Mix(ChanceOf(epoch) + plan_.rank) + step);
}

uint64_t BatchOrder::ChanceOf(const DataRange& places) const {
  return Mix(ChanceOf(places.epoch) + places.begin);
}

// By Fisher and Yates, from the order of the file, so that no epoch depends on the one before.
void BatchOrder::Shuffle(uint64_t epoch) {
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
