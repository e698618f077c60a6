#include "worker/data/rows.h"

#include <charconv>
#include <cmath>

namespace shardmill {
namespace {

constexpr size_t kWordsMax = 10;

std::string_view WithoutSpace(std::string_view text) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  if (text.starts_with('+') && text.size() > 1 && text[1] != '-') text.remove_prefix(1);
  return text;
}

}  // namespace

Result<> BadRows::Add(const RowPlace& place, const std::string& words) {
  ++count_;
  if (words_.size() < kWordsMax) words_.push_back(place.ToString() + ": " + words);
  if (count_ <= rows_max_) return {};
  std::string message;
  for (const std::string& line : words_) message += line + "\n";
  return Error{ErrorCode::kBadInput,
               message + "data.bad_rows_max is " + std::to_string(rows_max_) + ", and " +
                   (count_ == 1 ? "this row" : std::to_string(count_) + " rows") +
                   " cannot be read; mend the file, or raise it to leave such rows out"};
}

Result<> ReadLines(LineSource& lines, LineParser& parser, RowSink& sink) {
  SM_TRY(sink.Begin(parser.columns()));
  Row row = MakeRow(parser.columns());
  std::string words;
  while (SM_TRY(lines.Next())) {
    if (lines.line().empty()) continue;
    const RowPlace place{lines.name(), lines.number()};
    if (parser.Parse(lines.line(), row, words)) {
      SM_TRY(sink.Take(row, place));
    } else {
      SM_TRY(sink.TakeBad(place, words));
    }
  }
  return {};
}

bool ParseNumber(std::string_view text, float& number) {
  text = WithoutSpace(text);
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error == std::errc::result_out_of_range && end == text.data() + text.size()) {
    // Nearer to zero than a float can be, it is zero; as far from it, it is none.
    double wide = 0;
    const auto again = std::from_chars(text.data(), text.data() + text.size(), wide);
    number = 0;
    return again.ec == std::errc() && std::abs(wide) < 1;
  }
  return error == std::errc() && end == text.data() + text.size() && std::isfinite(number);
}

bool ParseWhole(std::string_view text, uint32_t& number) {
  text = WithoutSpace(text);
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size();
}

}  // namespace shardmill
