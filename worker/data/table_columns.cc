#include "worker/data/table_columns.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "common/config/text.h"
#include "worker/data/rows.h"

namespace shardmill {
namespace {

constexpr size_t kNamesShown = 20;

std::string ShownNames(std::span<const std::string> names) {
  std::string list;
  for (size_t i = 0; i < std::min(names.size(), kNamesShown); ++i) {
    list += (i == 0 ? "" : ", ") + config::QuoteForMessage(names[i]);
  }
  return names.size() > kNamesShown ? list + " and more" : list;
}

}  // namespace

TableColumns::TableColumns(TableChoice options) : options_(std::move(options)) {
  // The label's words are classes, not an input.
  const auto label = std::ranges::find(options_.categories, options_.label);
  const bool words = label != options_.categories.end();
  if (words) options_.categories.erase(label);
  for (size_t i = 0; i < options_.categories.size(); ++i) dictionaries_.emplace_back(true);
  if (words) LearnClasses({});
}

void TableColumns::LearnClasses(const std::vector<std::string>& words) {
  if (!label_dictionary_.has_value()) {
    label_dictionary_ = dictionaries_.size();
    dictionaries_.emplace_back(false);
  }
  dictionaries_[*label_dictionary_].Learn(words);
}

void TableColumns::Learn(const Columns& columns) {
  for (size_t i = 0; i + 1 < columns.size(); ++i) {
    if (options_.features.empty()) options_.features = columns[i].fields;
    const auto found = std::ranges::find(options_.categories, columns[i].name);
    if (columns[i].kind != ColumnKind::kIds || found == options_.categories.end()) continue;
    dictionaries_[static_cast<size_t>(found - options_.categories.begin())].Learn(columns[i].words);
  }
  if (!columns.back().words.empty()) LearnClasses(columns.back().words);
  bound_ = true;
  Close();
}

void TableColumns::Close() {
  for (Dictionary& dictionary : dictionaries_) dictionary.Close();
}

std::vector<std::vector<std::string>> TableColumns::Words() const {
  std::vector<std::vector<std::string>> words(columns_.size());
  const size_t first = columns_.size() - 1 - options_.categories.size();
  for (size_t i = 0; i < options_.categories.size(); ++i)
    words[first + i] = dictionaries_[i].words();
  if (label_dictionary_.has_value()) words.back() = dictionaries_[*label_dictionary_].words();
  return words;
}

Result<size_t> TableColumns::Find(const std::string& path, const std::string& key,
                                  const std::string& name) const {
  const auto found = places_.find(name);
  if (found != places_.end()) return found->second;
  const std::string nearest = config::Nearest(name, names_);
  return Error{ErrorCode::kBadUsage,
               path + ": there is no column " + config::QuoteForMessage(name) + ", which data." +
                   key + " names; " +
                   (nearest.empty() ? "" : "did you mean \"" + nearest + "\"? ") + "there are " +
                   ShownNames(names_)};
}

Result<> TableColumns::Bind(const std::string& path, std::span<const std::string> names,
                            const std::vector<bool>& numeric) {
  slots_.assign(names.size(), {});
  names_.assign(names.begin(), names.end());
  places_.clear();
  for (size_t i = 0; i < names_.size(); ++i) places_.try_emplace(names_[i], i);
  const bool labelled = options_.needs_label || !bound_ || places_.contains(options_.label);
  const size_t label = labelled ? SM_TRY(Find(path, "label", options_.label)) : names.size();
  std::vector<size_t> categories;
  std::vector<bool> feature = numeric;
  for (const std::string& name : options_.categories) {
    categories.push_back(SM_TRY(Find(path, "categories", name)));
    feature[categories.back()] = false;
  }
  if (!bound_ && options_.features.empty() && options_.others) {
    for (size_t i = 0; i < names.size(); ++i) {
      if (i != label && feature[i]) options_.features.push_back(names[i]);
    }
  }
  if (options_.target == TargetKind::kValue && label_dictionary_.has_value()) {
    return Error{ErrorCode::kBadUsage,
                 path + ": the column " + config::QuoteForMessage(options_.label) +
                     " holds words, and data.target = \"value\" wants numbers"};
  }
  bound_ = true;
  MakeColumns();
  const size_t first = options_.features.empty() ? 0 : 1;
  const auto put = [this, &path](size_t field, Slot slot) -> Result<> {
    if (slots_[field].kind != SlotKind::kNone) {
      return Error{ErrorCode::kBadUsage, path + ": the column " +
                                             config::QuoteForMessage(names_[field]) +
                                             " is named twice among data.label, data.features and "
                                             "data.categories"};
    }
    slots_[field] = slot;
    return {};
  };
  for (size_t i = 0; i < options_.features.size(); ++i) {
    const size_t field = SM_TRY(Find(path, "features", options_.features[i]));
    SM_TRY(put(field, {SlotKind::kFeature, 0, i}));
  }
  for (size_t i = 0; i < categories.size(); ++i) {
    SM_TRY(put(categories[i], {SlotKind::kCategory, first + i, 0, i}));
  }
  if (columns_.size() == 1) {
    return Error{ErrorCode::kBadUsage,
                 path +
                     ": there is nothing to learn from beside the label; name columns in "
                     "data.features or data.categories"};
  }
  columns_.back().missing = !labelled;
  if (labelled) {
    SM_TRY(
        put(label, {SlotKind::kLabel, columns_.size() - 1, 0, label_dictionary_.value_or(kNone)}));
  }
  MakeOrder();
  return {};
}

void TableColumns::MakeOrder() {
  order_.clear();
  for (size_t field = 0; field < slots_.size(); ++field) {
    if (slots_[field].kind != SlotKind::kNone) order_.push_back(field);
  }
  // A label may be refused for being empty, and a category cannot.
  std::ranges::stable_sort(order_, {}, [this](size_t field) {
    return IsWord(field) ? (slots_[field].kind == SlotKind::kLabel ? 1 : 2) : 0;
  });
}

void TableColumns::MakeColumns() {
  columns_.clear();
  const bool alone = options_.categories.empty();
  if (!options_.features.empty()) {
    columns_.push_back(
        {.name = alone ? kOnlyInput : "numbers", .row_shape = {options_.features.size()}});
    columns_.back().fields = options_.features;
  }
  for (const std::string& name : options_.categories) {
    columns_.push_back({.name = name, .kind = ColumnKind::kIds});
  }
  const bool value = options_.target == TargetKind::kValue;
  columns_.push_back(
      {.name = options_.label, .kind = value ? ColumnKind::kFloats : ColumnKind::kIds});
}

bool TableColumns::Wanted(size_t field, const char* what, std::string_view found,
                          std::string& words) const {
  words = std::string("wanted ") + what + " in column " + config::QuoteForMessage(names_[field]) +
          ", found " + (found.empty() ? "nothing" : config::QuoteForMessage(found));
  return false;
}

bool TableColumns::PutText(size_t field, std::string_view text, Row& row, std::string& words) {
  const Slot& slot = slots_[field];
  Cell& cell = row[slot.cell];
  if (slot.kind == SlotKind::kFeature) {
    if (ParseNumber(text, cell.floats[slot.place])) return true;
    return Wanted(field, "a number", text, words);
  }
  if (slot.dictionary != kNone) {
    if (slot.kind == SlotKind::kLabel && text.empty()) return Wanted(field, "a class", text, words);
    const std::optional<uint32_t> id = dictionaries_[slot.dictionary].IdOf(text);
    if (id.has_value()) cell.ids[0] = *id;
    return id.has_value() || Wanted(field, "one of the words of training", text, words);
  }
  if (slot.kind != SlotKind::kLabel) return true;
  if (options_.target == TargetKind::kValue) {
    return ParseNumber(text, cell.floats[0]) || Wanted(field, "a number", text, words);
  }
  if (ParseWhole(text, cell.ids[0]) && cell.ids[0] < kClassesMax) return true;
  float number = -1;
  if (ParseNumber(text, number)) return PutNumber(field, number, row, words);
  return Wanted(field,
                "a class from 0 on (where words are the classes, name it in data.categories too)",
                text, words);
}

bool TableColumns::PutNumber(size_t field, double number, Row& row, std::string& words) {
  const Slot& slot = slots_[field];
  Cell& cell = row[slot.cell];
  const bool classes = slot.kind == SlotKind::kLabel && options_.target == TargetKind::kClass;
  if (classes) {
    if (number >= 0 && number < kClassesMax && number == std::floor(number)) {
      cell.ids[0] = static_cast<uint32_t>(number);
      return true;
    }
    return Wanted(field, "a class from 0 on", config::FormatReal(number), words);
  }
  const auto narrow = static_cast<float>(number);
  if (!std::isfinite(narrow)) {
    return Wanted(field, "a number", std::isnan(number) ? "NA" : config::FormatReal(number), words);
  }
  cell.floats[slot.place] = narrow;
  return true;
}

}  // namespace shardmill
