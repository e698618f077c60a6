#include "worker/data/csv_reader.h"

#include <algorithm>
#include <cstring>
#include <set>
#include <unordered_set>

#include "common/config/text.h"

namespace shardmill {
namespace {

// Around a field, which it is no part of.
bool IsBlank(char c, char separator) { return (c == ' ' || c == '\t') && c != separator; }

void SkipBlanks(std::string_view& line, char separator) {
  while (!line.empty() && IsBlank(line.front(), separator)) line.remove_prefix(1);
}

// A field that begins with a quote, taken off the line up to what follows its last quote. The
// fields of a line together are not longer than the line, so `unquoted` stays where it is.
CsvSplit TakeQuoted(std::string_view& line, char separator, std::string& unquoted,
                    std::string_view& field) {
  const size_t begin = unquoted.size();
  line.remove_prefix(1);
  for (;;) {
    const size_t quote = line.find('"');
    if (quote == std::string_view::npos) return CsvSplit::kOpenQuote;
    unquoted.append(line.substr(0, quote));
    line.remove_prefix(quote + 1);
    if (!line.starts_with('"')) break;
    unquoted += '"';
    line.remove_prefix(1);
  }
  field = std::string_view(unquoted).substr(begin);
  SkipBlanks(line, separator);
  return line.empty() || line.front() == separator ? CsvSplit::kWhole : CsvSplit::kBadQuote;
}

// Lines that end within quotes are one with those that follow.
Result<CsvSplit> SplitRecord(LineSource& lines, char separator,
                             std::vector<std::string_view>& fields, std::string& unquoted) {
  CsvSplit split = SplitCsv(lines.line(), separator, fields, unquoted);
  if (split != CsvSplit::kOpenQuote) return split;
  size_t seen = lines.line().size();
  bool open = true;
  while (open) {
    const bool extended = SM_TRY(lines.Extend());
    if (!extended) {
      lines.Shorten();
      return CsvSplit::kOpenQuote;
    }
    const std::string_view added = lines.line().substr(std::min(seen, lines.line().size()));
    open = std::ranges::count(added, '"') % 2 == 0;
    seen = lines.line().size();
  }
  split = SplitCsv(lines.line(), separator, fields, unquoted);
  if (split != CsvSplit::kWhole) lines.Shorten();
  return split;
}

Result<> BindHeader(LineSource& lines, const CsvOptions& options, TableColumns& table,
                    std::vector<std::string_view>& fields, std::string& unquoted) {
  const CsvSplit split = SM_TRY(SplitRecord(lines, options.separator, fields, unquoted));
  const std::string place = RowPlace{lines.name(), lines.number()}.ToString();
  if (split != CsvSplit::kWhole) {
    return Error{ErrorCode::kBadUsage, place + ": the names of the columns are not quoted well"};
  }
  std::vector<std::string> names;
  std::unordered_set<std::string> seen;
  for (const std::string_view field : fields) {
    names.push_back(options.header ? std::string(field) : std::to_string(names.size() + 1));
    if (!seen.insert(names.back()).second) {
      return Error{ErrorCode::kBadUsage,
                   place + ": two columns are called " + config::QuoteForMessage(names.back())};
    }
  }
  return table.Bind(place, names, std::vector<bool>(names.size(), true));
}

// The rows of one file, once its columns are known. Lives for one call of ReadCsv.
class CsvRows final {
 public:
  CsvRows(LineSource& lines, char separator, TableColumns& table, RowSink& sink, size_t columns)
      : lines_(lines),
        separator_(separator),
        table_(table),
        sink_(sink),
        columns_(columns),
        row_(MakeRow(table.columns())) {}

  Result<> TakeLine() {
    if (lines_.line().empty()) return {};
    const CsvSplit split = SM_TRY(SplitRecord(lines_, separator_, fields_, unquoted_));
    const RowPlace place{lines_.name(), lines_.number()};
    if (split == CsvSplit::kOpenQuote) {
      return sink_.TakeBad(place, "a quote opens a field and none closes it");
    }
    if (split == CsvSplit::kBadQuote) {
      return sink_.TakeBad(place,
                           "wanted a separator or a second quote after a quote; a quote "
                           "within a field is doubled, and the field quoted");
    }
    if (fields_.size() != columns_) {
      return sink_.TakeBad(place, "wanted " + std::to_string(columns_) + " columns, found " +
                                      std::to_string(fields_.size()));
    }
    std::string words;
    for (const size_t i : table_.order()) {
      if (!table_.PutText(i, fields_[i], row_, words)) return sink_.TakeBad(place, words);
    }
    return sink_.Take(row_, place);
  }

 private:
  LineSource& lines_;
  const char separator_;
  TableColumns& table_;
  RowSink& sink_;
  const size_t columns_;
  Row row_;
  std::vector<std::string_view> fields_;
  std::string unquoted_;
};

}  // namespace

CsvSplit SplitCsv(std::string_view line, char separator, std::vector<std::string_view>& fields,
                  std::string& unquoted) {
  fields.clear();
  unquoted.clear();
  unquoted.reserve(line.size());
  for (;;) {
    std::string_view field;
    SkipBlanks(line, separator);
    if (line.starts_with('"')) {
      const CsvSplit split = TakeQuoted(line, separator, unquoted, field);
      if (split != CsvSplit::kWhole) return split;
    } else {
      field = line.substr(0, line.find(separator));
      if (field.find('"') != std::string_view::npos) return CsvSplit::kBadQuote;
      line.remove_prefix(field.size());
      while (!field.empty() && IsBlank(field.back(), separator)) field.remove_suffix(1);
    }
    fields.push_back(field);
    if (line.empty()) return CsvSplit::kWhole;
    line.remove_prefix(1);
  }
}

Result<> ReadCsv(LineSource& lines, const CsvOptions& options, TableColumns& table, RowSink& sink) {
  std::vector<std::string_view> fields;
  std::string unquoted;
  const bool first = SM_TRY(lines.Next());
  if (!first) return Error{ErrorCode::kBadInput, lines.name() + ": the file is empty"};
  SM_TRY(BindHeader(lines, options, table, fields, unquoted));
  SM_TRY(sink.Begin(table.columns()));
  CsvRows rows(lines, options.separator, table, sink, fields.size());
  if (!options.header) SM_TRY(rows.TakeLine());
  while (true) {
    const bool more = SM_TRY(lines.Next());
    if (!more) return {};
    SM_TRY(rows.TakeLine());
  }
}

}  // namespace shardmill
