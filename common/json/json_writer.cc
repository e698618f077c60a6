#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "common/json/json.h"

namespace shardmill {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD.

// It stands for itself between quotes.
bool IsPlain(char c) { return c >= 0x20 && c < 0x7F && c != '"' && c != '\\'; }

bool IsContinuation(char c) { return (static_cast<uint8_t>(c) & 0xC0) == 0x80; }

// The length of the UTF-8 sequence that the text begins with, or 0 where it begins with none.
size_t SequenceLength(std::string_view text) {
  const auto first = static_cast<uint8_t>(text[0]);
  const size_t length = first < 0x80   ? 1
                        : first < 0xC2 ? 0
                        : first < 0xE0 ? 2
                        : first < 0xF0 ? 3
                                       : 4;
  if (length == 0 || first > 0xF4 || length > text.size()) return 0;
  for (size_t i = 1; i < length; ++i) {
    if (!IsContinuation(text[i])) return 0;
  }
  if (length < 3) return length;
  const auto second = static_cast<uint8_t>(text[1]);
  const bool overlong = (first == 0xE0 && second < 0xA0) || (first == 0xF0 && second < 0x90);
  const bool surrogate = first == 0xED && second > 0x9F;
  const bool too_large = first == 0xF4 && second > 0x8F;
  return overlong || surrogate || too_large ? 0 : length;
}

}  // namespace

bool IsUtf8(std::string_view text) {
  while (!text.empty()) {
    const size_t length = SequenceLength(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

void JsonWriter::BeforeValue() {
  if (levels_.empty()) {
    SM_ASSERT(text_.empty());
    return;
  }
  Level& level = levels_.back();
  if (level.object) {
    SM_ASSERT(level.after_key);
    level.after_key = false;
    return;
  }
  if (!level.empty) text_ += ',';
  level.empty = false;
}

void JsonWriter::Begin(bool object) {
  BeforeValue();
  levels_.push_back({.object = object});
  text_ += object ? '{' : '[';
}

void JsonWriter::End(bool object) {
  SM_ASSERT(!levels_.empty() && levels_.back().object == object && !levels_.back().after_key);
  levels_.pop_back();
  text_ += object ? '}' : ']';
}

JsonWriter& JsonWriter::BeginObject() {
  Begin(true);
  return *this;
}

JsonWriter& JsonWriter::EndObject() {
  End(true);
  return *this;
}

JsonWriter& JsonWriter::BeginList() {
  Begin(false);
  return *this;
}

JsonWriter& JsonWriter::EndList() {
  End(false);
  return *this;
}

JsonWriter& JsonWriter::Key(std::string_view key) {
  SM_ASSERT(!levels_.empty() && levels_.back().object && !levels_.back().after_key);
  Level& level = levels_.back();
  if (!level.empty) text_ += ',';
  level.empty = false;
  level.after_key = true;
  Quote(key);
  text_ += ':';
  return *this;
}

JsonWriter& JsonWriter::Text(std::string_view value) {
  BeforeValue();
  Quote(value);
  return *this;
}

JsonWriter& JsonWriter::Number(double value) {
  if (!std::isfinite(value)) return Null();
  BeforeValue();
  std::array<char, 32> digits{};
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr;
  text_.append(digits.data(), end);
  return *this;
}

JsonWriter& JsonWriter::Whole(uint64_t value) {
  BeforeValue();
  text_ += std::to_string(value);
  return *this;
}

JsonWriter& JsonWriter::Flag(bool value) {
  BeforeValue();
  text_ += value ? "true" : "false";
  return *this;
}

JsonWriter& JsonWriter::Null() {
  BeforeValue();
  text_ += "null";
  return *this;
}

JsonWriter& JsonWriter::Value(const JsonValue& value) {
  switch (value.kind) {
    case JsonValue::Kind::kNull:
      return Null();
    case JsonValue::Kind::kFlag:
      return Flag(value.flag);
    case JsonValue::Kind::kNumber:
      return value.is_whole ? Whole(value.whole) : Number(value.number);
    case JsonValue::Kind::kText:
      return Text(value.text);
    case JsonValue::Kind::kList:
      BeginList();
      for (const JsonValue& item : value.items) Value(item);
      return EndList();
    case JsonValue::Kind::kObject:
      BeginObject();
      for (const auto& [key, member] : value.members) Key(key).Value(member);
      return EndObject();
  }
  return *this;
}

std::string JsonWriter::Take() {
  SM_ASSERT(levels_.empty() && !text_.empty());
  return std::exchange(text_, {});
}

void JsonWriter::Quote(std::string_view text) {
  constexpr std::string_view kHex = "0123456789abcdef";
  text_ += '"';
  while (true) {
    const auto plain =
        static_cast<size_t>(std::find_if_not(text.begin(), text.end(), IsPlain) - text.begin());
    text_ += text.substr(0, plain);
    text.remove_prefix(plain);
    if (text.empty()) break;
    const char c = text[0];
    const size_t length = SequenceLength(text);
    if (c == '"' || c == '\\') {
      text_ += '\\';
      text_ += c;
    } else if (c == '\n') {
      text_ += "\\n";
    } else if (c == '\t') {
      text_ += "\\t";
    } else if (static_cast<uint8_t>(c) < 0x20 || c == 0x7F) {
      text_ += "\\u00";
      text_ += kHex[static_cast<uint8_t>(c) >> 4];
      text_ += kHex[static_cast<uint8_t>(c) & 15];
    } else if (length == 0) {
      text_ += kReplacement;
    } else {
      text_ += text.substr(0, length);
    }
    text.remove_prefix(length == 0 ? 1 : length);
  }
  text_ += '"';
}

}  // namespace shardmill
