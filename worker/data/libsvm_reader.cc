#include "worker/data/libsvm_reader.h"

#include "common/config/text.h"

namespace shardmill {
namespace {

constexpr uint32_t kIdMax = UINT32_MAX - 1;

std::string_view TakeToken(std::string_view& line) {
  constexpr std::string_view kBlanks = " \t";
  const size_t begin = line.find_first_not_of(kBlanks);
  if (begin == std::string_view::npos) return line = {};
  line.remove_prefix(begin);
  const std::string_view token = line.substr(0, line.find_first_of(kBlanks));
  line.remove_prefix(token.size());
  return token;
}

}  // namespace

LibsvmParser::LibsvmParser(TargetKind target) : target_(target) {
  columns_.push_back({.name = kOnlyInput, .kind = ColumnKind::kSparse});
  const bool value = target == TargetKind::kValue;
  columns_.push_back({.name = "label", .kind = value ? ColumnKind::kFloats : ColumnKind::kIds});
}

bool LibsvmParser::ParseLabel(std::string_view text, Cell& cell, std::string& words) {
  if (target_ == TargetKind::kValue) {
    if (ParseNumber(text, cell.floats[0])) return true;
    words = "wanted a number as the label, found " + config::QuoteForMessage(text);
    return false;
  }
  float number = 0;
  if (!ParseNumber(text, number) || number < -1 || number >= static_cast<float>(kClassesMax) ||
      number != static_cast<float>(static_cast<int32_t>(number))) {
    words = "wanted a class as the label, -1 or a whole number from 0 on, found " +
            config::QuoteForMessage(text);
    return false;
  }
  if ((number < 0 && seen_zero_) || (number == 0 && seen_minus_)) {
    words = "the label is " + std::string(text) +
            ", and there are labels -1 and 0, which would be one class";
    return false;
  }
  seen_minus_ = seen_minus_ || number < 0;
  seen_zero_ = seen_zero_ || number == 0;
  cell.ids[0] = number < 0 ? 0 : static_cast<uint32_t>(number);
  return true;
}

bool LibsvmParser::Parse(std::string_view line, Row& row, std::string& words) {
  line = line.substr(0, line.find('#'));
  const std::string_view label = TakeToken(line);
  Cell& input = row[0];
  input.ids.clear();
  input.floats.clear();
  for (std::string_view token = TakeToken(line); !token.empty(); token = TakeToken(line)) {
    const size_t colon = token.find(':');
    uint32_t id = 0;
    float number = 0;
    if (colon == std::string_view::npos || !ParseWhole(token.substr(0, colon), id) ||
        !ParseNumber(token.substr(colon + 1), number)) {
      words = "wanted ID:NUMBER, found " + config::QuoteForMessage(token);
      return false;
    }
    if (id == 0 || id > kIdMax) {
      words = "ids begin with 1 and end with " + std::to_string(kIdMax) + ", and here is " +
              std::to_string(id);
      return false;
    }
    if (!input.ids.empty() && input.ids.back() + 1 >= id) {
      words = "ids ascend in a row, and " + std::to_string(id) + " follows " +
              std::to_string(input.ids.back() + 1);
      return false;
    }
    input.ids.push_back(id - 1);
    input.floats.push_back(number);
  }
  // Last: what labels there are is learnt from good rows alone.
  return ParseLabel(label, row[1], words);
}

}  // namespace shardmill
