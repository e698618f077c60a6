#pragma once

#include <string>
#include <vector>

#include "worker/data/rows.h"

namespace shardmill {

// Keeps all that a reader brings. Used on the test's thread; cannot fail.
class KeptRows final : public RowSink {
 public:
  Result<> Begin(const Columns& columns) override {
    columns_ = columns;
    return {};
  }
  Result<> Take(const Row& row, const RowPlace& place) override {
    rows.push_back(row);
    places.push_back(place.line);
    return {};
  }
  Result<> TakeBad(const RowPlace& place, const std::string& words) override {
    bad.push_back(std::to_string(place.line) + ": " + words);
    return {};
  }

  const Columns& columns() const { return columns_; }

  std::vector<Row> rows;
  std::vector<uint64_t> places;  // The line of each.
  std::vector<std::string> bad;  // "LINE: WORDS".

 private:
  Columns columns_;
};

}  // namespace shardmill
