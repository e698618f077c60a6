#include <charconv>
#include <optional>
#include <unordered_set>

#include "common/json/json.h"

namespace shardmill {
namespace {

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

void AppendUtf8(uint32_t code, std::string* text) {
  const auto put = [&](uint32_t byte) { *text += static_cast<char>(static_cast<uint8_t>(byte)); };
  if (code < 0x80) {
    put(code);
  } else if (code < 0x800) {
    put(0xC0 | (code >> 6));
    put(0x80 | (code & 0x3F));
  } else if (code < 0x10000) {
    put(0xE0 | (code >> 12));
    put(0x80 | ((code >> 6) & 0x3F));
    put(0x80 | (code & 0x3F));
  } else {
    put(0xF0 | (code >> 18));
    put(0x80 | ((code >> 12) & 0x3F));
    put(0x80 | ((code >> 6) & 0x3F));
    put(0x80 | (code & 0x3F));
  }
}

// One pass over the text, by recursive descent. Made for one document; one thread.
class JsonReader final {
 public:
  explicit JsonReader(std::string_view text) : text_(text) {}

  Result<JsonValue> Read() {
    JsonValue value;
    if (!Value(0, &value) || (SkipSpace(), at_ != text_.size())) {
      return Error{ErrorCode::kBadInput, "no JSON: at byte " + std::to_string(at_) + " " +
                                             (words_ ? words_ : "something follows its end")};
    }
    return value;
  }

 private:
  bool Fail(const char* words) {
    if (!words_) words_ = words;
    return false;
  }

  bool Take(char c) {
    if (at_ == text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }

  void SkipSpace() {
    while (Take(' ') || Take('\n') || Take('\t') || Take('\r')) {
    }
  }

  bool Value(size_t depth, JsonValue* value) {
    SkipSpace();
    if (depth == kJsonDepthMax) return Fail("it is nested too deep");
    if (++values_ > kJsonValuesMax) return Fail("it has too many values");
    if (at_ == text_.size()) return Fail("it ends too early");
    switch (text_[at_]) {
      case '{':
        return Object(depth, value);
      case '[':
        return List(depth, value);
      case '"':
        value->kind = JsonValue::Kind::kText;
        return Text(&value->text);
      case 't':
        return Word("true", JsonValue::Kind::kFlag, value);
      case 'f':
        return Word("false", JsonValue::Kind::kFlag, value);
      case 'n':
        return Word("null", JsonValue::Kind::kNull, value);
      default:
        return Number(value);
    }
  }

  bool Word(std::string_view word, JsonValue::Kind kind, JsonValue* value) {
    if (!text_.substr(at_).starts_with(word)) return Fail("there is an unknown word");
    at_ += word.size();
    value->kind = kind;
    value->flag = word == "true";
    return true;
  }

  bool Object(size_t depth, JsonValue* value) {
    value->kind = JsonValue::Kind::kObject;
    ++at_;
    SkipSpace();
    if (Take('}')) return true;
    std::unordered_set<std::string> keys;  // Where they are many.
    do {
      SkipSpace();
      std::string key;
      if (at_ == text_.size() || text_[at_] != '"') return Fail("a key is missing");
      if (!Text(&key)) return false;
      if (!IsNew(key, *value, &keys)) return Fail("a key occurs twice");
      SkipSpace();
      if (!Take(':')) return Fail("a colon is missing");
      JsonValue inner;
      if (!Value(depth + 1, &inner)) return false;
      value->members.push_back({std::move(key), std::move(inner)});
      SkipSpace();
    } while (Take(','));
    return Take('}') || Fail("an object does not end");
  }

  // Looking through a few members is quicker than any set.
  static bool IsNew(const std::string& key, const JsonValue& value,
                    std::unordered_set<std::string>* keys) {
    constexpr size_t kFew = 64;
    if (value.members.size() < kFew) return !value.Find(key);
    if (keys->empty()) {
      for (const auto& [name, member] : value.members) keys->insert(name);
    }
    return keys->insert(key).second;
  }

  bool List(size_t depth, JsonValue* value) {
    value->kind = JsonValue::Kind::kList;
    ++at_;
    SkipSpace();
    if (Take(']')) return true;
    do {
      JsonValue& item = value->items.emplace_back();
      if (!Value(depth + 1, &item)) return false;
      SkipSpace();
    } while (Take(','));
    return Take(']') || Fail("a list does not end");
  }

  bool Digits() {
    const size_t begin = at_;
    while (at_ < text_.size() && IsDigit(text_[at_])) ++at_;
    return at_ > begin;
  }

  bool Number(JsonValue* value) {
    const size_t begin = at_;
    Take('-');
    const bool leading_zero = at_ < text_.size() && text_[at_] == '0';
    const size_t digits = at_;
    if (!Digits() || (leading_zero && at_ > digits + 1)) return Fail("there is no value");
    bool whole = true;
    if (Take('.')) {
      whole = false;
      if (!Digits()) return Fail("a number has no digits after its point");
    }
    if (Take('e') || Take('E')) {
      whole = false;
      if (!Take('+')) Take('-');
      if (!Digits()) return Fail("a number has no digits in its exponent");
    }
    const char* first = text_.data() + begin;
    const char* last = text_.data() + at_;
    value->kind = JsonValue::Kind::kNumber;
    if (std::from_chars(first, last, value->number).ec != std::errc()) {
      return Fail("a number is out of range");
    }
    value->is_whole = whole && std::from_chars(first, last, value->whole).ec == std::errc();
    return true;
  }

  std::optional<uint32_t> Hex4() {
    uint32_t code = 0;
    if (text_.size() - at_ < 4) return {};
    const char* first = text_.data() + at_;
    const auto [end, error] = std::from_chars(first, first + 4, code, 16);
    if (error != std::errc() || end != first + 4) return {};
    at_ += 4;
    return code;
  }

  bool Escape(std::string* text) {
    constexpr std::string_view kFrom = "\"\\/bfnrt";
    constexpr std::string_view kTo = "\"\\/\b\f\n\r\t";
    if (at_ == text_.size()) return Fail("a text does not end");
    const char c = text_[at_++];
    if (const size_t i = kFrom.find(c); i != std::string_view::npos) {
      *text += kTo[i];
      return true;
    }
    std::optional<uint32_t> code = c == 'u' ? Hex4() : std::nullopt;
    if (!code) return Fail("there is an unknown escape");
    if (*code >= 0xD800 && *code < 0xDC00) {
      std::optional<uint32_t> low = Take('\\') && Take('u') ? Hex4() : std::nullopt;
      if (!low || *low < 0xDC00 || *low > 0xDFFF) return Fail("half a surrogate pair");
      code = 0x10000 + ((*code - 0xD800) << 10) + (*low - 0xDC00);
    } else if (*code >= 0xDC00 && *code <= 0xDFFF) {
      return Fail("half a surrogate pair");
    }
    AppendUtf8(*code, text);
    return true;
  }

  bool Text(std::string* text) {
    ++at_;
    while (at_ < text_.size()) {
      const char c = text_[at_++];
      if (c == '"') return true;
      if (static_cast<uint8_t>(c) < 0x20) return Fail("a text has a control character");
      if (c != '\\') {
        *text += c;
      } else if (!Escape(text)) {
        return false;
      }
    }
    return Fail("a text does not end");
  }

  std::string_view text_;
  size_t at_ = 0;
  size_t values_ = 0;
  const char* words_ = nullptr;
};

}  // namespace

const JsonValue* JsonValue::Find(std::string_view key) const {
  if (kind != Kind::kObject) return nullptr;
  for (const auto& [name, value] : members) {
    if (name == key) return &value;
  }
  return nullptr;
}

Result<JsonValue> ParseJson(std::string_view text, size_t bytes_max) {
  if (text.size() > bytes_max) {
    return Error{ErrorCode::kBadInput,
                 "no JSON: it is longer than " + std::to_string(bytes_max) + " bytes"};
  }
  if (!IsUtf8(text)) return Error{ErrorCode::kBadInput, "no JSON: it is not UTF-8"};
  return JsonReader(text).Read();
}

}  // namespace shardmill
