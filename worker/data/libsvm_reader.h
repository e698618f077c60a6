#pragma once

#include <string>
#include <string_view>

#include "common/job/job.h"
#include "worker/data/rows.h"

namespace shardmill {

// Rows as libsvm has them, "LABEL ID:NUMBER ID:NUMBER # comment": the sparse input "input", whose
// ids begin with 1 in the file and with 0 here, and the target "label". Classes are whole numbers
// from 0 on, or -1 and +1, which become 0 and 1. Owned by a reader, on its thread.
class LibsvmParser final : public LineParser {
 public:
  explicit LibsvmParser(TargetKind target);

  const Columns& columns() const override { return columns_; }
  bool Parse(std::string_view line, Row& row, std::string& words) override;

 private:
  bool ParseLabel(std::string_view text, Cell& cell, std::string& words);

  const TargetKind target_;
  Columns columns_;
  bool seen_zero_ = false;
  bool seen_minus_ = false;
};

}  // namespace shardmill
