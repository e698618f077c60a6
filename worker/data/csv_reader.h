#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"
#include "worker/data/line_source.h"
#include "worker/data/rows.h"
#include "worker/data/table_columns.h"

namespace shardmill {

struct CsvOptions {
  char separator = ',';
  bool header = true;
};

// Reads a CSV as RFC 4180 has it: fields may be quoted, and then hold separators, newlines and
// doubled quotes. Blanks around a field are no part of it, but within quotes. What holds to that
// but not to the table is a bad row.
Result<> ReadCsv(LineSource& lines, const CsvOptions& options, TableColumns& table, RowSink& sink);

enum class CsvSplit : uint8_t { kWhole, kOpenQuote, kBadQuote };

// Cuts a line into its fields, without the blanks around them, which are borrowed from the line or
// from `unquoted`.
CsvSplit SplitCsv(std::string_view line, char separator, std::vector<std::string_view>& fields,
                  std::string& unquoted);

}  // namespace shardmill
