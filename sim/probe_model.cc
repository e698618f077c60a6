#include "sim/probe_model.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "common/assert.h"
#include "common/rng.h"

namespace shardmill::sim {
namespace {

constexpr uint64_t kSharedKey = 7;
constexpr uint64_t kCountKeys = 1000;
constexpr uint64_t kMarkKeys = 2000;

UpdateSettings Merge(UpdateRule rule) {
  UpdateSettings settings;
  settings.rule = rule;
  return settings;
}

UpdateSettings SomeMerge(Rng& rng) {
  constexpr UpdateRule kRules[] = {UpdateRule::kAssign, UpdateRule::kMin, UpdateRule::kMax};
  return Merge(kRules[rng.Below(3)]);
}

UpdateSettings SomeOptimizer(Rng& rng) {
  UpdateSettings settings;
  const auto last = static_cast<uint64_t>(UpdateRule::kAverage);
  settings.rule = static_cast<UpdateRule>(rng.Below(last + 1));
  settings.rate.base = 0.01 + 0.1 * rng.Uniform();
  settings.rate.shape = static_cast<RateShape>(rng.Below(4));
  settings.rate.warmup = rng.Below(4);
  if (rng.Chance(0.3)) settings.weight_decay = 0.05;
  if (settings.rule == UpdateRule::kFtrl) {
    settings.rate.shape = RateShape::kConstant;  // As MakeOptimizer demands.
    settings.rate.warmup = 0;
    settings.weight_decay = 0;
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

ProbeModel::ProbeModel(uint64_t seed, uint32_t workers, uint32_t shards, Step steps,
                       const Policy& policy, bool leased)
    : seed_(Mix(seed ^ 0x9b0be)),
      workers_(workers),
      shards_(shards),
      steps_(steps),
      nonfinite_(policy.nonfinite),
      leased_(leased) {
  Rng rng(seed_);
  tables_.push_back({"probe", shards * kLine, {}, 0, Merge(UpdateRule::kAdd)});
  tables_.push_back({"counts", 0, {}, 1, Merge(UpdateRule::kAdd)});
  const Initial first = Initial::Normal(0.5, rng.Next());
  tables_.push_back({"weights", kFloats, first, 0, SomeOptimizer(rng)});
  tables_.push_back({"rows", 0, first, kRowFloats, SomeOptimizer(rng)});
  tables_.push_back({"bounds", kFloats, Initial::Constant(0.25), 0, SomeMerge(rng)});
  tables_.push_back({"marks", 0, Initial::Constant(0.25), 1, SomeMerge(rng)});
  SM_ASSERT(tables_.size() == kProbeTables);
  for (uint32_t worker = 0; worker < workers; ++worker) {
    for (Step step = 1; step <= steps; ++step) plans_.push_back(MakePlan(WorkerId{worker}, step));
  }
  for (uint32_t worker = 0; worker < workers && !leased; ++worker) {
    const WorkerId rank{worker};
    for (Step step = 1; step <= steps; ++step) {
      Plan& plan = plans_[worker * steps + step - 1];
      plan.poison = PoisonOf(rank, step);
      const bool may = plan.poison == ProbeTable::kWeights && nonfinite_ != OnNonfinite::kAccept;
      plan.spoilt = may && Chance(28, rank, step) % 2 == 0;
    }
  }
}

// Under `reject` one step ends the job: some histories have one. It pushes to all shards; what is
// wrong with it is PoisonOf's to say, when all plans are made.
ProbeModel::Plan ProbeModel::MakePlan(WorkerId rank, Step step) const {
  const uint64_t all = (uint64_t{1} << shards_) - 1;
  Plan plan;
  const uint64_t chance = Chance(11, rank, step);
  plan.samples = chance % 8 == 0 && !leased_ ? 0 : static_cast<double>(1 + chance % 5);
  const bool some = Chance(15, rank, step) % 10 < 3;
  plan.touched = static_cast<uint32_t>(some ? Chance(16, rank, step) & all : all);
  Rng rng(seed_ ^ 0x4e3);
  const bool rejects = nonfinite_ == OnNonfinite::kReject && !leased_ && rng.Chance(0.2);
  if (rejects && rng.Below(workers_) == rank.value && 1 + rng.Below(steps_) == step) {
    plan = {1, static_cast<uint32_t>(all), ProbeTable::kWeights};
  }
  return plan;
}

std::optional<ProbeTable> ProbeModel::PoisonOf(WorkerId rank, Step step) const {
  const Plan& plan = PlanOf(rank, step);
  const bool may = nonfinite_ != OnNonfinite::kReject && Chance(12, rank, step) % 6 == 0;
  if (!plan.poison && (!may || plan.samples == 0 || plan.touched == 0)) return std::nullopt;
  // What is taken must leave the arithmetic of the other tables whole.
  constexpr ProbeTable kAny[] = {ProbeTable::kWeights, ProbeTable::kRows, ProbeTable::kProbe,
                                 ProbeTable::kBounds};
  const ProbeTable table =
      kAny[Chance(13, rank, step) % (nonfinite_ == OnNonfinite::kAccept ? 2 : 4)];
  return Elements(table, rank, step).empty() ? ProbeTable::kWeights : table;
}

const ProbeModel::Plan& ProbeModel::PlanOf(WorkerId rank, Step step) const {
  SM_ASSERT(rank.value < workers_ && step >= 1 && (leased_ || step <= steps_));
  return plans_[rank.value * steps_ + (step - 1) % steps_];
}

bool ProbeModel::Skipped(WorkerId rank, Step step) const {
  return nonfinite_ == OnNonfinite::kSkip && PlanOf(rank, step).poison;
}

bool ProbeModel::Rejected(WorkerId rank, Step step) const {
  return nonfinite_ == OnNonfinite::kReject && PlanOf(rank, step).poison;
}

std::optional<uint64_t> ProbeModel::SpoiltAt(WorkerId rank, Step step) const {
  if (!PlanOf(rank, step).spoilt) return std::nullopt;
  return Ranges(ProbeTable::kWeights, rank, step).front().begin;
}

// Where a shard's pieces begin, where all shards have nearly as many.
uint64_t ProbeModel::CutOf(uint64_t pieces, uint32_t shard) const {
  return pieces / shards_ * shard + std::min<uint64_t>(shard, pieces % shards_);
}

uint32_t ProbeModel::OwnerOf(ProbeTable table, uint64_t element) const {
  const TableSpec& spec = Spec(table);
  const uint64_t pieces = spec.sparse() ? kBuckets : (spec.size + kLine - 1) / kLine;
  const uint64_t piece = spec.sparse() ? BucketOf(element) : element / kLine;
  uint32_t shard = 0;
  while (piece >= CutOf(pieces, shard + 1)) ++shard;
  return shard;
}

std::vector<ProbeModel::Range> ProbeModel::Ranges(ProbeTable table, WorkerId rank,
                                                  Step step) const {
  const uint64_t size = Spec(table).size;
  uint64_t begin = 0;
  uint64_t end = size;
  if (table == ProbeTable::kBounds) {
    begin = Chance(17, rank, step) % size;
    end = begin + 1 + Chance(18, rank, step) % (size - begin);
  }
  std::vector<Range> ranges;
  const uint64_t pieces = (size + kLine - 1) / kLine;
  for (uint32_t shard = 0; shard < shards_; ++shard) {
    const Range range{shard, std::max(begin, CutOf(pieces, shard) * kLine),
                      std::min(end, CutOf(pieces, shard + 1) * kLine)};
    if (Touches(rank, step, shard) && range.begin < range.end) ranges.push_back(range);
  }
  return ranges;
}

std::vector<uint64_t> ProbeModel::Elements(ProbeTable table, WorkerId rank, Step step) const {
  std::vector<uint64_t> elements;
  if (!Spec(table).sparse()) {
    for (const Range& range : Ranges(table, rank, step)) {
      for (uint64_t at = range.begin; at < range.end; ++at) elements.push_back(at);
    }
    return elements;
  }
  Rng rng(Chance(14, rank, step));
  if (table == ProbeTable::kCounts) {
    elements = {kCountKeys + rank.value, kSharedKey, kCountKeys + rank.value};
  } else if (table == ProbeTable::kRows) {
    elements.resize(1 + rng.Below(5));
    for (uint64_t& key : elements) key = rng.Below(12);
  } else {
    // Once each: a client adds what is pushed twice, whatever the rule.
    for (uint64_t key = 0; key < 6; ++key) {
      if (Chance(20 + key, rank, step) % 3 == 0) elements.push_back(kMarkKeys + key);
    }
  }
  std::erase_if(elements, [&](uint64_t key) { return !Touches(rank, step, OwnerOf(table, key)); });
  return elements;
}

std::vector<float> ProbeModel::Values(ProbeTable table, WorkerId rank, Step step,
                                      std::span<const float> read) const {
  const std::vector<uint64_t> elements = Elements(table, rank, step);
  Rng rng(Chance(30 + static_cast<uint64_t>(table), rank, step));
  std::vector<float> values;
  if (table == ProbeTable::kProbe) {
    for (const uint64_t at : elements) values.push_back(at % kLine == rank.value ? 1 : 0);
  } else if (table == ProbeTable::kCounts) {
    values.assign(elements.size(), 1);
  } else if (table == ProbeTable::kWeights || table == ProbeTable::kRows) {
    SM_ASSERT(read.size() == elements.size() * std::max(Spec(table).dim, 1U));
    for (const float value : read) {
      values.push_back(static_cast<float>(rng.Uniform() - 0.5) + 0.25F * value);
    }
  } else {
    constexpr float kInfinity = std::numeric_limits<float>::infinity();  // A merge may have it.
    while (values.size() < elements.size()) {
      const auto value = static_cast<float>(rng.Uniform() - 0.5);
      values.push_back(rng.Chance(0.02) ? std::copysign(kInfinity, value) : value);
    }
  }
  const Plan& plan = PlanOf(rank, step);
  if (plan.poison == table && !plan.spoilt) {
    values[Chance(19, rank, step) % values.size()] = PoisonValue(table, rank, step);
  }
  return values;
}

float ProbeModel::PoisonValue(ProbeTable table, WorkerId rank, Step step) const {
  const bool infinite = Chance(29, rank, step) % 2 == 0;
  return infinite && !IsMerge(Spec(table).update->rule) ? -std::numeric_limits<float>::infinity()
                                                        : NAN;
}

uint64_t ProbeModel::Chance(uint64_t salt, WorkerId rank, Step step) const {
  return Mix(seed_ ^ Mix(salt ^ Mix(rank.value ^ Mix(step))));
}

}  // namespace shardmill::sim
