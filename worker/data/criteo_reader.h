#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "worker/data/rows.h"

namespace shardmill {

// Criteo's rows of clicks: a label 0 or 1, 13 whole numbers and 26 categories, between tabs; any
// but the label may be missing. The input "numbers" has log(1 + n) of each, which for n below 0
// goes on as -log(1 - n), and 0 where it is missing. The input "categories" has a hash of each
// column and its word, a key of 64 bits or one of so many buckets; a word that is missing is a word
// too. The target is "label". Owned by a reader, on its thread.
class CriteoParser final : public LineParser {
 public:
  static constexpr size_t kNumbers = 13;
  static constexpr size_t kCategories = 26;

  // No buckets: keys.
  explicit CriteoParser(uint64_t buckets);

  const Columns& columns() const override { return columns_; }
  bool Parse(std::string_view line, Row& row, std::string& words) override;

 private:
  bool ParseCount(std::string_view text, float& number) const;

  const uint64_t buckets_;
  Columns columns_;
  const std::vector<float>& logs_;
};

// The key of a category: column and word decide it, on every machine.
uint64_t CategoryKey(size_t column, std::string_view word);

}  // namespace shardmill
