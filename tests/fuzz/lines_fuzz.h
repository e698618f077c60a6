#pragma once

#include "tests/fuzz/checked_rows.h"
#include "tests/fuzz/input.h"
#include "worker/data/line_source.h"

namespace shardmill::fuzz {

// Reads a file whose rows are single lines.
inline void TryLines(Input bytes, LineParser& parser) {
  CheckedRows rows;
  LineSource lines(SourceOf(bytes, "f"), "f");
  const Result<> read = ReadLines(lines, parser, rows);
  Check(read.ok() || !read.error().message.empty(), "who refuses says why");
}

}  // namespace shardmill::fuzz
