#include "server/shard_copy.h"

#include <algorithm>
#include <new>
#include <utility>

#include "common/assert.h"
#include "common/mutation.h"

namespace shardmill {

ShardCopy::ShardCopy(ShardId id, const UpdateSettings& update, FramePool& frames,
                     ShardObserver* observer)
    : id_(id), update_(update), frames_(frames), observer_(observer) {}

void ShardCopy::Clear() {
  view_ = View{};
  if (!Mutated(Mutation::kKeepSteps)) tracker_ = StepTracker();
  tables_.clear();
  version_ = 0;
  filled_ = 0;
  last_close_.clear();
  unsettled_.clear();
  settled_ = 0;
}

std::string ShardCopy::TakeView(JobId job, const View& view, DenseSlice::Begins how) {
  view_ = view;
  tracker_.Install(view);
  for (const TablePlace& place : view.tables) {
    const auto there = tables_.find(place.id);
    if (there != tables_.end() && there->second.place.spec == place.spec) continue;
    std::string problem =
        there != tables_.end() ? ChangeUpdate(there->second, place) : AddTable(place, how);
    if (!problem.empty()) return problem;
  }
  if (observer_ != nullptr) observer_->TookView(job, view_);
  return "";
}

// What the optimizer has gathered stays: see Coordinator::UpdateProblem.
std::string ShardCopy::ChangeUpdate(Table& table, const TablePlace& place) {
  table.update = place.spec.update.value_or(update_);
  auto optimizer = MakeOptimizer(table.update);
  if (!optimizer.ok()) {
    return "table \"" + place.spec.name + "\": " + optimizer.error().message;
  }
  SM_ASSERT(optimizer.value()->slots() == table.optimizer->slots());
  table.optimizer = std::move(optimizer).value();
  table.place = place;
  return "";
}

std::string ShardCopy::AddTable(const TablePlace& place, DenseSlice::Begins how) {
  const TableSpec& spec = place.spec;
  const UpdateSettings update = spec.update.value_or(update_);
  auto optimizer = MakeOptimizer(update);
  if (!optimizer.ok()) return "table \"" + spec.name + "\": " + optimizer.error().message;
  const Initial initial = SaltedBy(spec.initial, spec.name);
  const uint64_t begin = place.cuts.at(id_.value);
  const uint64_t end = place.cuts.at(id_.value + 1);
  Table& table = tables_[place.id];
  table.place = place;
  table.update = update;
  table.optimizer = std::move(optimizer).value();
  const uint32_t slots = table.optimizer->slots();
  try {
    if (spec.sparse()) {
      table.values.emplace<SparseSlice>(begin, end, spec.dim, initial, *table.optimizer);
    } else {
      table.values.emplace<DenseSlice>(frames_, begin, end, initial, slots, how);
    }
    return "";
  } catch (const std::bad_alloc&) {
    tables_.erase(place.id);
    const uint64_t floats = spec.sparse() ? 0 : (end - begin) * (1 + uint64_t{slots});
    return "table \"" + spec.name + "\": its server has not enough memory" +
           (floats == 0 ? std::string(" for its rows")
                        : ": this part of it, with what the optimizer keeps, takes " +
                              std::to_string(floats * sizeof(float)) + " bytes");
  }
}

// Rows are made at once: whether there is room for more of them depends on how many there are.
void ShardCopy::Take(LogEntry& entry) {
  SM_ASSERT(settled() && entry.version == version_ + 1);
  const bool first_closes = view_.policy.backups > 0;
  if (first_closes) last_close_.clear();
  for (const Contribution& made : entry.made) {
    tracker_.Finish(made);
    if (made.discarded) continue;
    if (made.samples > 0) ++filled_;
    if (!first_closes) continue;
    last_close_.push_back({made.rank, made.step, made.samples, 0, made.step, 0, made.attempt, {}});
  }
  version_ = entry.version;
  if (observer_ != nullptr) observer_->Applied(entry);
  for (TableChange& change : entry.changes) {
    Table& table = tables_.at(change.table);
    if (auto* sparse = std::get_if<SparseSlice>(&table.values)) {
      if (observer_ != nullptr) observer_->ChangeBegins(change);
      sparse->Apply(change.parts, change.rate, *table.optimizer);
      if (observer_ != nullptr) observer_->ChangeEnds();
      change.parts.clear();  // What was pushed goes now.
      spare_parts_.push_back(std::move(change.parts));
    } else {
      unsettled_.push_back(std::move(change));
    }
  }
  entry.changes.clear();
}

std::vector<ChangePart> ShardCopy::SpareParts() {
  if (spare_parts_.empty()) return {};
  std::vector<ChangePart> parts = std::move(spare_parts_.back());
  spare_parts_.pop_back();
  return parts;
}

ShardCopy::SettledTable ShardCopy::SettleNext() {
  TableChange& change = unsettled_.at(settled_++);
  SettledTable done{change.table};
  for (const ChangePart& part : change.parts) done.bytes += part.gradient.size();
  Settle(change);
  if (settled()) {
    for (TableChange& over : unsettled_) spare_parts_.push_back(std::move(over.parts));
    unsettled_.clear();
    settled_ = 0;
  }
  return done;
}

void ShardCopy::Settle(TableId table) {
  const auto change = std::ranges::find(unsettled_, table, &TableChange::table);
  if (change != unsettled_.end()) Settle(*change);
}

// Once: a table that was read meanwhile has nothing left to do.
void ShardCopy::Settle(TableChange& change) {
  if (change.parts.empty()) return;
  Table& table = tables_.at(change.table);
  if (observer_ != nullptr) observer_->ChangeBegins(change);
  std::get<DenseSlice>(table.values).Apply(change.parts, change.rate, *table.optimizer);
  if (observer_ != nullptr) observer_->ChangeEnds();
  change.parts.clear();  // What was pushed goes now.
}

Result<> ShardCopy::Restore(TableId id, const TablePiece& piece) {
  const auto found = tables_.find(id);
  if (found == tables_.end()) return {};
  Table& table = found->second;
  Result<> taken;
  if (auto* sparse = std::get_if<SparseSlice>(&table.values)) {
    if (const auto* rows = std::get_if<RowBatch>(&piece)) taken = sparse->Restore(*rows);
    table.rows_bound = sparse->rows();
  } else if (const auto* floats = std::get_if<DensePiece>(&piece)) {
    taken = std::get<DenseSlice>(table.values).Restore(*floats);
  } else if (const auto* runs = std::get_if<UpdateRuns>(&piece)) {
    taken = std::get<DenseSlice>(table.values).Restore(*runs);
  }
  if (taken.ok()) return {};
  return Error{taken.error().code,
               "table \"" + table.place.spec.name + "\": " + taken.error().message};
}

void ShardCopy::MakeRest() {
  for (auto& [id, table] : tables_) {
    if (auto* dense = std::get_if<DenseSlice>(&table.values)) dense->MakeRest();
  }
}

uint32_t ShardCopy::ChecksumOf(TableId id, uint64_t begin, uint64_t count) const {
  SM_ASSERT(settled());
  const auto& values = tables_.at(id).values;
  if (const auto* sparse = std::get_if<SparseSlice>(&values)) {
    const bool there = begin <= sparse->rows() && count <= sparse->rows() - begin;
    return there ? sparse->Checksum(begin, count) : 0;
  }
  const auto& dense = std::get<DenseSlice>(values);
  return dense.Contains(begin, count) ? dense.Checksum(begin, count) : 0;
}

std::string ShardCopy::Read(const Entry& from, LogEntry& entry) const {
  if (from.version != version_ + 1) {
    return "entry " + std::to_string(from.version) + " after " + std::to_string(version_);
  }
  for (const Contribution& made : from.made) {
    const bool next =
        view_.FindMember(made.rank) != nullptr && made.step == tracker_.Ended(made.rank) + 1;
    if (!next) return "a step that cannot be";
  }
  entry.version = from.version;
  entry.made = from.made;
  entry.changes.clear();
  for (const EntryChange& change : from.changes) {
    const auto found = tables_.find(change.table);
    if (found == tables_.end()) return "a table that is not here";
    const auto* dense = std::get_if<DenseSlice>(&found->second.values);
    const auto* sparse = std::get_if<SparseSlice>(&found->second.values);
    TableChange& to = entry.changes.emplace_back(TableChange{change.table, change.rate, {}});
    for (const EntryPart& part : change.parts) {
      const uint64_t floats = part.gradient.size() / sizeof(float);
      ChangePart& added = to.parts.emplace_back(
          ChangePart{part.begin, part.weight, part.gradient, nullptr,
                     part.combined && !Mutated(Mutation::kUncombinedWeights)});
      bool fits = dense != nullptr && part.keys.size() == 0 && dense->Contains(part.begin, floats);
      if (sparse != nullptr) {
        const std::span<const uint64_t> keys = part.keys.keys();
        fits = !keys.empty() && floats == keys.size() * sparse->dim() && sparse->Owns(keys);
        added.keys = std::make_shared<KeyRows>(
            KeyRows{change.table, part.keys, std::vector<uint32_t>(keys.size(), RowIndex::kNone)});
      }
      if (!fits) return "a gradient that fits no table here";
    }
  }
  return "";
}

}  // namespace shardmill
