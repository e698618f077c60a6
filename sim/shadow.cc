#include "sim/shadow.h"

#include <algorithm>

#include "common/finite.h"

namespace shardmill::sim {
namespace {

// One push's value, merged into what is there. A table that is not merged keeps its own.
void MergeInto(UpdateRule rule, float value, float& into) {
  if (rule == UpdateRule::kAdd) into += value;
  if (rule == UpdateRule::kAssign) into = value;
  if (rule == UpdateRule::kMin) into = std::min(into, value);
  if (rule == UpdateRule::kMax) into = std::max(into, value);
}

// The floats or the keys that a change touches, sorted; what several parts touch is there so often.
std::vector<uint64_t> ElementsOf(const TableChange& change) {
  std::vector<uint64_t> elements;
  for (const ChangePart& part : change.parts) {
    if (part.keys != nullptr) {
      const auto keys = part.keys->keys.keys();
      elements.insert(elements.end(), keys.begin(), keys.end());
      continue;
    }
    const uint64_t end = part.begin + part.gradient.floats().size();
    for (uint64_t at = part.begin; at < end; ++at) elements.push_back(at);
  }
  std::ranges::sort(elements);
  return elements;
}

}  // namespace

Shadow::Shadow(const ProbeModel& model, const Policy& policy, uint32_t shard)
    : model_(&model), policy_(policy), shard_(shard) {
  for (size_t i = 0; i < kProbeTables; ++i) {
    const TableSpec& spec = model.tables()[i];
    tables_[i].floats.assign(spec.size, spec.initial.scale);
  }
}

void Shadow::TookView(const View& view) {
  for (size_t i = 0; i < kProbeTables; ++i) {
    const TablePlace* place = view.FindTable(model_->tables()[i].name);
    if (place != nullptr) tables_[i].id = place->id;
  }
}

bool Shadow::Merged(ProbeTable table) const { return IsMerge(model_->Spec(table).update->rule); }

std::string Shadow::Take(const LogEntry& entry) {
  std::string words;
  size_t known = 0;
  for (size_t i = 0; i < kProbeTables; ++i) {
    const auto change = std::ranges::find(entry.changes, tables_[i].id, &TableChange::table);
    const bool changed = change != entry.changes.end();
    known += changed ? 1 : 0;
    const std::string problem =
        CheckTable(static_cast<ProbeTable>(i), entry, changed ? &*change : nullptr);
    if (words.empty()) words = problem;
  }
  if (words.empty() && known != entry.changes.size()) return "a table is changed that is none";
  return words;
}

void Shadow::TakeAgain(std::span<const Contribution> made) {
  for (const Contribution& one : made) {
    for (size_t i = 0; i < kProbeTables && Pushes(one); ++i) {
      Merge(static_cast<ProbeTable>(i), one.rank, one.step);
    }
  }
}

bool Shadow::Pushes(const Contribution& made) const {
  if (made.discarded) return false;
  return model_->leased() ? made.samples > 0 : model_->Contributes(made.rank, made.step);
}

std::string Shadow::CheckTable(ProbeTable table, const LogEntry& entry, const TableChange* change) {
  std::vector<uint64_t> wanted;
  for (const Contribution& made : entry.made) {
    if (!Pushes(made)) continue;
    std::vector<uint64_t> own = model_->Elements(table, made.rank, made.step);
    std::erase_if(own, [&](uint64_t at) { return model_->OwnerOf(table, at) != shard_; });
    std::ranges::sort(own);
    own.erase(std::ranges::unique(own).begin(), own.end());  // A client names each once.
    wanted.insert(wanted.end(), own.begin(), own.end());
    Merge(table, made.rank, made.step);
  }
  std::ranges::sort(wanted);
  const std::vector<uint64_t> have =
      change == nullptr ? std::vector<uint64_t>{} : ElementsOf(*change);
  const std::string& name = model_->Spec(table).name;
  if (have != wanted) {
    return "changes " + std::to_string(have.size()) + " elements of \"" + name +
           "\", and not the " + std::to_string(wanted.size()) + " that were pushed";
  }
  if (change == nullptr) return "";
  for (const ChangePart& part : change->parts) {
    if (AllNumbers(part.gradient.floats(), Merged(table))) continue;
    ++nonfinite_;
    if (policy_.nonfinite != OnNonfinite::kAccept) return "applies what is no number to " + name;
  }
  return "";
}

void Shadow::Merge(ProbeTable table, WorkerId rank, Step step) {
  const TableSpec& spec = model_->Spec(table);
  Table& shadow = tables_[static_cast<size_t>(table)];
  if (!spec.sparse() && !Merged(table)) return;
  const std::vector<uint64_t> elements = model_->Elements(table, rank, step);
  const std::vector<float> values =
      Merged(table) ? model_->Values(table, rank, step) : std::vector<float>(elements.size());
  for (size_t i = 0; i < elements.size(); ++i) {
    const uint64_t at = elements[i];
    if (model_->OwnerOf(table, at) != shard_) continue;
    float& value = spec.sparse() ? shadow.rows.try_emplace(at, spec.initial.scale).first->second
                                 : shadow.floats[at];
    MergeInto(spec.update->rule, values[i], value);
  }
}

std::string Shadow::Differs(const Shard& state) const {
  for (size_t i = 0; i < kProbeTables; ++i) {
    const auto table = static_cast<ProbeTable>(i);
    const TableSpec& spec = model_->Spec(table);
    const TablePlace* place = state.view().FindTable(spec.name);
    if (place == nullptr) return "has no table \"" + spec.name + "\"";
    if (!spec.sparse()) {
      uint64_t at = place->cuts.at(shard_);
      if (!Merged(table)) continue;
      for (const float have : state.Snapshot(place->id)) {
        const float want = tables_[i].floats.at(at++);
        if (have != want) {
          return "has " + std::to_string(have) + " at " + std::to_string(at - 1) + " of \"" +
                 spec.name + "\", and should have " + std::to_string(want);
        }
      }
      continue;
    }
    const std::map<uint64_t, std::vector<float>> rows = state.Rows(place->id);
    if (rows.size() != tables_[i].rows.size()) {
      return "has " + std::to_string(rows.size()) + " rows of \"" + spec.name + "\", and " +
             std::to_string(tables_[i].rows.size()) + " were pushed to";
    }
    for (const auto& [key, want] : tables_[i].rows) {
      const auto have = rows.find(key);
      const std::string what = "row " + std::to_string(key) + " of \"" + spec.name + "\"";
      if (have == rows.end()) return "has no " + what;
      if (Merged(table) && have->second.at(0) != want) {
        return "has " + std::to_string(have->second[0]) + " in " + what + ", and should have " +
               std::to_string(want);
      }
    }
  }
  if (state.counters().nonfinite >= nonfinite_) return "";
  return "has counted " + std::to_string(state.counters().nonfinite) +
         " units with what is no number, and has applied " + std::to_string(nonfinite_);
}

}  // namespace shardmill::sim
