#include "sim/probe_model.h"

#include <cmath>

#include "common/rng.h"

namespace shardmill::sim {
namespace {

UpdateSettings Merge(UpdateRule rule) {
  UpdateSettings settings;
  settings.rule = rule;
  return settings;
}

UpdateSettings SomeOptimizer(Rng& rng) {
  UpdateSettings settings;
  settings.rule = static_cast<UpdateRule>(rng.Below(static_cast<uint64_t>(UpdateRule::kFtrl) + 1));
  settings.rate.base = 0.01 + 0.1 * rng.Uniform();
  settings.rate.shape = static_cast<RateShape>(rng.Below(4));
  settings.rate.warmup = rng.Below(4);
  if (settings.rule == UpdateRule::kFtrl) {
    settings.rate.shape = RateShape::kConstant;  // As MakeOptimizer demands.
    settings.rate.warmup = 0;
  }
  settings.rate.length = 1 + rng.Below(10);
  settings.rate.factor = 0.7;  // A rate that falls to nothing makes numbers that are none.
  settings.rate.end = 0.001;
  settings.rate.scale_by_workers = rng.Chance(0.3);
  if (rng.Chance(0.3)) settings.l2 = 0.01;
  if (rng.Chance(0.3)) settings.l1 = 0.001;
  if (rng.Chance(0.3)) settings.clip_value = 0.4;
  return settings;
}

}  // namespace

ProbeModel::ProbeModel(uint64_t seed, uint32_t workers, uint32_t shards, const Policy& policy)
    : seed_(Mix(seed ^ 0x9b0be)),
      workers_(workers),
      shards_(shards),
      skips_(policy.nonfinite == OnNonfinite::kSkip) {
  Rng rng(seed_);
  tables_.push_back({"probe", shards * kLine, {}, 0, Merge(UpdateRule::kAdd)});
  tables_.push_back({"counts", 0, {}, 1, Merge(UpdateRule::kAdd)});
  const Initial first = Initial::Normal(0.5, rng.Next());
  tables_.push_back({"weights", kWeights, first, 0, SomeOptimizer(rng)});
  tables_.push_back({"rows", 0, first, kRowFloats, SomeOptimizer(rng)});
}

double ProbeModel::Samples(WorkerId rank, Step step) const {
  const uint64_t chance = Chance(11, rank, step);
  return chance % 8 == 0 ? 0 : static_cast<double>(1 + chance % 5);
}

bool ProbeModel::Skipped(WorkerId rank, Step step) const {
  return skips_ && Chance(12, rank, step) % 6 == 0;
}

std::vector<float> ProbeModel::Probe(WorkerId rank, Step step) const {
  std::vector<float> probe(shards_ * kLine);
  for (uint32_t shard = 0; shard < shards_; ++shard) probe[ProbeIndex(shard, rank.value)] = 1;
  if (Skipped(rank, step)) {
    const auto shard = static_cast<uint32_t>(Chance(13, rank, step) % shards_);
    probe[ProbeIndex(shard, rank.value)] = NAN;
  }
  return probe;
}

std::vector<uint64_t> ProbeModel::CountKeys(WorkerId rank) const {
  return {CountKey(rank.value), kSharedKey, CountKey(rank.value)};
}

std::vector<uint64_t> ProbeModel::RowKeys(WorkerId rank, Step step) const {
  Rng rng(Chance(14, rank, step));
  std::vector<uint64_t> keys(1 + rng.Below(5));
  for (uint64_t& key : keys) key = rng.Below(12);
  return keys;
}

std::vector<float> ProbeModel::Gradient(uint64_t salt, WorkerId rank, Step step,
                                        std::span<const float> read) const {
  Rng rng(Chance(salt, rank, step));
  std::vector<float> gradient;
  gradient.reserve(read.size());
  for (const float value : read) {
    gradient.push_back(static_cast<float>(rng.Uniform() - 0.5) + 0.25F * value);
  }
  return gradient;
}

uint64_t ProbeModel::Chance(uint64_t salt, WorkerId rank, Step step) const {
  return Mix(seed_ ^ Mix(salt ^ Mix(rank.value ^ Mix(step))));
}

}  // namespace shardmill::sim
