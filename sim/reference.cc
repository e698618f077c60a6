#include "sim/reference.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "common/assert.h"
#include "optim/rate.h"

namespace shardmill::sim {
namespace {

std::unique_ptr<Optimizer> OptimizerOf(const TableSpec& spec) {
  auto made = MakeOptimizer(*spec.update);
  SM_ASSERT(made.ok());
  return std::move(made).value();
}

// One NaN is as good as another.
bool SameBits(std::span<const float> left, std::span<const float> right) {
  if (left.size() != right.size()) return false;
  for (size_t i = 0; i < left.size(); ++i) {
    if (std::isnan(left[i]) && std::isnan(right[i])) continue;
    if (std::bit_cast<uint32_t>(left[i]) != std::bit_cast<uint32_t>(right[i])) return false;
  }
  return true;
}

}  // namespace

Reference::Reference(const ProbeModel& model, const Policy& policy, const Ledger& ledger)
    : model_(model),
      policy_(policy),
      ledger_(ledger),
      weights_{model.Spec(ProbeTable::kWeights), OptimizerOf(model.Spec(ProbeTable::kWeights))},
      rows_{model.Spec(ProbeTable::kRows), OptimizerOf(model.Spec(ProbeTable::kRows))},
      updates_(model.shards()) {
  all_.values.resize(ProbeModel::kFloats);
  all_.state.resize(all_.values.size() * weights_.optimizer->slots());
  FillInitial(SaltedBy(weights_.spec.initial, weights_.spec.name), 0, all_.values);
}

void Reference::Train() {
  for (Step step = 1; step <= model_.steps(); ++step) Round(step);
}

Reference::Row& Reference::RowOf(uint64_t key) {
  Row& row = by_key_[key];
  if (row.values.empty()) {
    row.values.resize(ProbeModel::kRowFloats);
    row.state.resize(row.values.size() * rows_.optimizer->slots());
    FillInitialRow(SaltedBy(rows_.spec.initial, rows_.spec.name), key, row.values);
  }
  return row;
}

// By rank; 0 for those that do not count.
std::vector<float> Reference::WeightsOfRound(Step step) const {
  double samples = 0;
  double members = 0;
  for (uint32_t i = 0; i < model_.workers(); ++i) {
    if (!ledger_.Counts(i, step)) continue;
    samples += model_.Samples(WorkerId{i}, step);
    members += 1;
  }
  std::vector<float> weights(model_.workers());
  for (uint32_t i = 0; i < model_.workers(); ++i) {
    if (!ledger_.Counts(i, step)) continue;
    const double weight = policy_.aggregate == Aggregate::kSum ? 1
                          : policy_.aggregate == Aggregate::kMean
                              ? 1 / members
                              : model_.Samples(WorkerId{i}, step) / samples;
    weights[i] = static_cast<float>(weight);
  }
  return weights;
}

void Reference::AddWeights(WorkerId rank, Step step, float weight) {
  std::vector<float> read;
  for (const uint64_t at : model_.Elements(ProbeTable::kWeights, rank, step)) {
    read.push_back(all_.values[at]);
  }
  const std::vector<float> gradient = model_.Values(ProbeTable::kWeights, rank, step, read);
  std::span<const float> left = gradient;
  for (const ProbeModel::Range& range : model_.Ranges(ProbeTable::kWeights, rank, step)) {
    Change& change = changes_[range.shard];
    const bool first = change.values.empty();
    change.begin = range.begin;
    change.weight += weight;
    change.values.resize(range.end - range.begin);
    CombineInto(Combine::kWeightedSum, first, weight, left.first(change.values.size()),
                change.values);
    left = left.subspan(change.values.size());
  }
}

// A worker sums its own rows of equal keys before it pushes, or takes their mean.
void Reference::AddRows(WorkerId rank, Step step, float weight) {
  const std::vector<uint64_t> keys = model_.Elements(ProbeTable::kRows, rank, step);
  std::vector<float> read;
  for (const uint64_t key : keys) {
    const Row& row = RowOf(key);
    read.insert(read.end(), row.values.begin(), row.values.end());
  }
  const std::vector<float> gradient = model_.Values(ProbeTable::kRows, rank, step, read);
  const bool means = rows_.spec.update->rule == UpdateRule::kAverage;
  std::map<uint64_t, std::vector<float>> own;
  for (size_t at = 0; at < keys.size(); ++at) {
    std::vector<float>& sum = own[keys[at]];
    const bool first = sum.empty();
    sum.resize(ProbeModel::kRowFloats);
    const float share = means ? 1 / static_cast<float>(std::ranges::count(keys, keys[at])) : 1;
    CombineInto(Combine::kWeightedSum, first, share,
                std::span(gradient).subspan(at * ProbeModel::kRowFloats, sum.size()), sum);
  }
  for (const auto& [key, sum] : own) {
    Change& all = row_changes_[key];
    const bool first = all.values.empty();
    all.weight += weight;
    all.values.resize(sum.size());
    CombineInto(Combine::kWeightedSum, first, weight, sum, all.values);
  }
}

void Reference::Round(Step step) {
  const std::vector<float> weights = WeightsOfRound(step);
  changes_.clear();
  row_changes_.clear();
  for (uint32_t i = 0; i < model_.workers(); ++i) {
    if (weights[i] == 0) continue;
    AddWeights(WorkerId{i}, step, weights[i]);
    AddRows(WorkerId{i}, step, weights[i]);
  }
  const auto rate = [&](const Table& table) {
    return static_cast<float>(RateAt(table.spec.update->rate, step, model_.workers()));
  };
  for (auto& [shard, change] : changes_) {
    weights_.optimizer->Step({rate(weights_), ++updates_[shard], change.weight}, change.values,
                             std::span(all_.values).subspan(change.begin, change.values.size()),
                             {all_.state.data() + change.begin, all_.values.size()});
  }
  for (auto& [key, change] : row_changes_) {
    Row& row = RowOf(key);
    rows_.optimizer->Step({rate(rows_), ++row.count, change.weight}, change.values, row.values,
                          {row.state.data(), row.values.size()});
  }
}

std::string Reference::Differs(const View& view, const std::vector<const Shard*>& shards) const {
  const TablePlace& weights = *view.FindTable(weights_.spec.name);
  const TablePlace& rows = *view.FindTable(rows_.spec.name);
  for (uint32_t i = 0; i < shards.size(); ++i) {
    const std::vector<float> have = shards[i]->Snapshot(weights.id);
    const std::span<const float> want =
        std::span(all_.values).subspan(weights.cuts[i], weights.cuts[i + 1] - weights.cuts[i]);
    if (!SameBits(have, want)) {
      return "the weights of shard " + std::to_string(i) + " are not those of one process";
    }
    for (const auto& [key, values] : shards[i]->Rows(rows.id)) {
      const auto row = by_key_.find(key);
      if (row == by_key_.end() || !SameBits(values, row->second.values)) {
        return "row " + std::to_string(key) + " of shard " + std::to_string(i) +
               " is not that of one process";
      }
    }
  }
  return "";
}

}  // namespace shardmill::sim
