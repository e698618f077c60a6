#include "worker/local_tables.h"

#include <algorithm>
#include <iterator>
#include <variant>

#include "common/initial.h"
#include "common/table_words.h"

namespace shardmill {
namespace {

Error Misfit() {
  return {ErrorCode::kBadInput, "the snapshot has other optimizer state than the optimizer keeps"};
}

}  // namespace

Result<std::unique_ptr<LocalTables>> LocalTables::Make(std::span<const ParameterSpec> parameters,
                                                       const UpdateSettings& update) {
  std::unique_ptr<LocalTables> tables(new LocalTables(parameters));
  tables->steps_ = SM_TRY(LocalSteps::Make(update, 1, parameters));
  for (size_t i = 0; i < parameters.size(); ++i) {
    Table& table = tables->tables_[i];
    table.values.resize(parameters[i].size);
    table.gradient.resize(parameters[i].size);
    if (parameters[i].sparse()) continue;
    FillInitial(SaltedBy(parameters[i].initial, parameters[i].name), 0, table.values);
  }
  tables->Lend();
  return tables;
}

void LocalTables::Begin(size_t parameter, std::span<const float> values) {
  std::ranges::copy(values, tables_[parameter].values.begin());
}

void LocalTables::Begin(size_t parameter, std::span<const uint64_t> keys,
                        std::span<const float> rows) {
  Table& table = tables_[parameter];
  const uint32_t dim = specs_[parameter].dim;
  for (size_t i = 0; i < keys.size(); ++i) {
    std::vector<float>& row = table.rows[keys[i]];
    row.resize(RowFloats(dim, steps_->optimizer(parameter)));
    std::ranges::copy(rows.subspan(i * dim, dim), row.begin());
  }
}

std::string LocalTables::RestoreProblem(size_t parameter, const TableSpec& was) const {
  const ParameterSpec& spec = specs_[parameter];
  const UpdateSettings& is = steps_->update(parameter);
  if (was.size != spec.size || was.dim != spec.dim) {
    return "has " + std::to_string(was.size + was.dim) + " floats, and the network wants " +
           std::to_string(spec.size + spec.dim);
  }
  if (!was.update || was.update->rule == is.rule) return "";
  return "has " + UpdateDifference(*was.update, is) +
         ", for which what was gathered is no good: keep the optimizer, or begin anew";
}

Result<> LocalTables::Restore(size_t parameter, const TablePiece& piece) {
  Table& table = tables_[parameter];
  const uint32_t dim = specs_[parameter].dim;
  if (const auto* dense = std::get_if<DensePiece>(&piece)) {
    const std::span<float> to = dense->slot == 0 ? table.values : steps_->state(parameter);
    const uint64_t slot = std::max(dense->slot, 1U) - 1;
    const uint64_t begin = slot * table.values.size() + dense->begin;
    const std::span<const float> floats = dense->floats.floats();
    if (floats.size() > to.size() || begin > to.size() - floats.size()) return Misfit();
    std::ranges::copy(floats, to.begin() + static_cast<std::ptrdiff_t>(begin));
    return {};
  }
  if (const auto* runs = std::get_if<UpdateRuns>(&piece)) {
    const auto same = [&](const UpdateRun& run) { return run.updates == runs->front().updates; };
    if (runs->empty() || !std::ranges::all_of(*runs, same)) return Misfit();
    steps_->steps(parameter) = runs->front().updates;
    return {};
  }
  const auto& batch = std::get<RowBatch>(piece);
  const std::span<const uint64_t> keys = batch.keys.keys();
  const uint64_t state = RowFloats(dim, steps_->optimizer(parameter)) - dim;
  const std::span<const float> values = batch.values.floats();
  const std::span<const float> states = batch.state.floats();
  if (values.size() != keys.size() * dim || states.size() != keys.size() * state) return Misfit();
  for (size_t i = 0; i < keys.size(); ++i) {
    std::vector<float>& row = table.rows[keys[i]];
    row.clear();
    std::ranges::copy(values.subspan(i * dim, dim), std::back_inserter(row));
    std::ranges::copy(states.subspan(i * state, state), std::back_inserter(row));
  }
  return {};
}

void LocalTables::Lend() {
  parameters_.clear();
  gradients_.clear();
  for (Table& table : tables_) {
    parameters_.emplace_back(table.values);
    gradients_.emplace_back(table.gradient);
  }
  values_.assign(parameters_.begin(), parameters_.end());
}

Result<> LocalTables::Fetch() {
  if (!ahead_) return {};
  SM_TRY(steps_->Fetch(parameters_));
  ahead_ = false;
  return {};
}

Result<std::span<const std::span<const float>>> LocalTables::For(const Batch& batch) {
  SM_TRY(Fetch());
  return ForStep(batch);
}

Result<std::span<const std::span<const float>>> LocalTables::ForStep(const Batch& batch) {
  for (size_t i = 0; i < specs_.size(); ++i) {
    if (specs_[i].sparse()) SM_TRY(Rows(i, batch.inputs[specs_[i].input].keys));
  }
  Lend();
  return std::span<const std::span<const float>>(values_);
}

Result<std::span<const float>> LocalTables::Dense(size_t parameter) {
  SM_TRY(Fetch());
  return std::span<const float>(tables_[parameter].values);
}

Result<std::span<const float>> LocalTables::Rows(size_t parameter, std::span<const uint64_t> keys) {
  Table& table = tables_[parameter];
  const ParameterSpec& spec = specs_[parameter];
  const Initial initial = SaltedBy(spec.initial, spec.name);
  table.keys.assign(keys.begin(), keys.end());
  table.values.resize(keys.size() * spec.dim);
  table.gradient.resize(table.values.size());
  for (size_t i = 0; i < keys.size(); ++i) {
    const std::span<float> row = std::span(table.values).subspan(i * spec.dim, spec.dim);
    const auto found = table.rows.find(keys[i]);
    if (found == table.rows.end()) {
      FillInitialRow(initial, keys[i], row);
    } else {
      std::copy_n(found->second.data(), spec.dim, row.data());
    }
  }
  return std::span<const float>(table.values);
}

Result<DenseImage> LocalTables::Image(size_t parameter) {
  SM_TRY(Fetch());
  SM_TRY(steps_->FetchState(parameter));
  const Optimizer& optimizer = steps_->optimizer(parameter);
  const Table& table = tables_[parameter];
  DenseImage image{{.end = table.values.size(), .slots = optimizer.slots()},
                   {Frame::CopyOf(std::span(table.values))},
                   {}};
  const std::span<const float> state = steps_->state(parameter);
  if (image.head.slots > 0) image.states.push_back(Frame::CopyOf(state));
  if (optimizer.counts()) image.head.updates = {{0, image.head.end, steps_->steps(parameter)}};
  return image;
}

std::vector<uint64_t> LocalTables::Keys(size_t parameter) const {
  std::vector<uint64_t> keys;
  for (const auto& [key, row] : tables_[parameter].rows) keys.push_back(key);
  std::ranges::sort(keys);
  return keys;
}

Result<RowBatch> LocalTables::RowImages(size_t parameter, std::span<const uint64_t> keys,
                                        uint64_t state) {
  const uint32_t dim = specs_[parameter].dim;
  std::vector<float> values, states;
  for (const uint64_t key : keys) {
    const std::span<const float> row = tables_[parameter].rows.at(key);
    values.insert(values.end(), row.begin(), row.begin() + dim);
    states.insert(states.end(), row.begin() + dim, row.begin() + dim + static_cast<long>(state));
  }
  return RowBatch{Frame::CopyOf(keys), Frame::CopyOf(std::span(values)),
                  Frame::CopyOf(std::span(states))};
}

void LocalTables::Step(uint64_t round) {
  for (size_t i = 0; i < tables_.size(); ++i) {
    if (specs_[i].sparse()) StepRows(i, steps_->RateOf(i, round));
  }
  steps_->Step(round, gradients_, parameters_);
  ahead_ = true;
}

void LocalTables::StepRows(size_t parameter, float rate) {
  Table& table = tables_[parameter];
  const Optimizer& optimizer = steps_->optimizer(parameter);
  const uint32_t dim = specs_[parameter].dim;
  std::vector<RowChange> changes;
  for (size_t i = 0; i < table.keys.size(); ++i) {
    std::vector<float>& row = table.rows[table.keys[i]];
    if (row.empty()) {
      row.resize(RowFloats(dim, optimizer));
      std::copy_n(table.values.data() + i * dim, dim, row.data());
    }
    changes.push_back({.row = row.data(), .values = table.gradient.data() + i * dim});
  }
  optimizer.StepRows(rate, dim, changes);
}

}  // namespace shardmill
