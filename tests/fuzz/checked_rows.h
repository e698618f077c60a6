#pragma once

#include <string>

#include "worker/data/rows.h"

namespace shardmill::fuzz {

// Takes what a reader brings, and ends the process where a row is not as its columns say. Owned by
// its target, on its thread.
class CheckedRows final : public RowSink {
 public:
  Result<> Begin(const Columns& columns) override;
  Result<> Take(const Row& row, const RowPlace& place) override;
  Result<> TakeBad(const RowPlace& place, const std::string& words) override;

 private:
  Columns columns_;
  uint64_t bad_ = 0;
};

}  // namespace shardmill::fuzz
