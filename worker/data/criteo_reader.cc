#include "worker/data/criteo_reader.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>

#include "common/config/text.h"
#include "common/rng.h"

namespace shardmill {
namespace {

constexpr size_t kLogs = 4096;

float LogOf(int64_t count) {
  const auto number = static_cast<double>(count);
  return static_cast<float>(count < 0 ? -std::log1p(-number) : std::log1p(number));
}

// Of small counts, which are most.
const std::vector<float>& SmallLogs() {
  static const std::vector<float> logs = [] {
    std::vector<float> all(kLogs);
    for (size_t i = 0; i < kLogs; ++i) all[i] = LogOf(static_cast<int64_t>(i));
    return all;
  }();
  return logs;
}

// The field up to the next tab, taken off the line with its tab. False where the line has ended.
bool TakeField(std::string_view& line, bool& more, std::string_view& field) {
  if (!more) return false;
  const void* const tab = std::memchr(line.data(), '\t', line.size());
  more = tab != nullptr;
  const size_t length =
      more ? static_cast<size_t>(static_cast<const char*>(tab) - line.data()) : line.size();
  field = line.substr(0, length);
  line.remove_prefix(length + (more ? 1 : 0));
  return true;
}

}  // namespace

uint64_t CategoryKey(size_t column, std::string_view word) {
  uint64_t key = Mix((uint64_t{column} << 32) + word.size());
  while (!word.empty()) {
    const size_t count = std::min(word.size(), sizeof(uint64_t));
    uint64_t letters = 0;
    std::memcpy(&letters, word.data(), count);
    key = Mix(key ^ letters);
    word.remove_prefix(count);
  }
  return key;
}

CriteoParser::CriteoParser(uint64_t buckets) : buckets_(buckets), logs_(SmallLogs()) {
  columns_.push_back({.name = "numbers", .row_shape = {kNumbers}});
  columns_.push_back({.name = "categories",
                      .kind = buckets == 0 ? ColumnKind::kKeys : ColumnKind::kIds,
                      .row_shape = {kCategories},
                      .ids_end = buckets});
  columns_.push_back({.name = "label", .kind = ColumnKind::kIds, .ids_end = 2});
}

bool CriteoParser::ParseCount(std::string_view text, float& number) const {
  number = 0;
  if (text.empty()) return true;
  int64_t count = 0;
  const char* const end = text.data() + text.size();
  const auto [read, error] = std::from_chars(text.data(), end, count);
  if (error != std::errc() || read != end) return false;
  number = count >= 0 && count < static_cast<int64_t>(kLogs) ? logs_[static_cast<size_t>(count)]
                                                             : LogOf(count);
  return true;
}

bool CriteoParser::Parse(std::string_view line, Row& row, std::string& words) {
  bool more = true;
  std::string_view field;
  const auto short_of = [&](size_t fields) {
    words = "wanted " + std::to_string(1 + kNumbers + kCategories) +
            " columns between tabs, found " + std::to_string(fields);
    return false;
  };
  TakeField(line, more, field);
  if (field != "0" && field != "1") {
    words = "wanted 0 or 1 in column 1, the label, found " +
            (field.empty() ? "nothing" : config::QuoteForMessage(field));
    return false;
  }
  row[2].ids[0] = field == "1" ? 1 : 0;
  for (size_t i = 0; i < kNumbers; ++i) {
    if (!TakeField(line, more, field)) return short_of(1 + i);
    if (ParseCount(field, row[0].floats[i])) continue;
    words = "wanted a whole number in column " + std::to_string(2 + i) + ", found " +
            config::QuoteForMessage(field);
    return false;
  }
  for (size_t i = 0; i < kCategories; ++i) {
    if (!TakeField(line, more, field)) return short_of(1 + kNumbers + i);
    const uint64_t key = CategoryKey(i, field);
    if (buckets_ == 0) {
      row[1].keys[i] = key;
    } else {
      row[1].ids[i] = static_cast<uint32_t>(((key >> 32) * buckets_) >> 32);
    }
  }
  if (!more) return true;
  return short_of(1 + kNumbers + kCategories + 1 +
                  static_cast<size_t>(std::ranges::count(line, '\t')));
}

}  // namespace shardmill
