#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"

namespace shardmill {

struct JsonMember;
struct JsonValue;

// Writes one JSON document, piece by piece, on one line. Owned by whoever writes; one thread. A
// wrong order of calls (a key outside an object, a value without its key) is our own bug and fails
// an assertion; every text and every number can be written.
class JsonWriter final {
 public:
  JsonWriter& BeginObject();
  JsonWriter& EndObject();
  JsonWriter& BeginList();
  JsonWriter& EndList();
  JsonWriter& Key(std::string_view key);

  JsonWriter& Text(std::string_view value);  // Bytes that are no UTF-8 become U+FFFD.
  JsonWriter& Number(double value);          // Reads back the same; what is not finite is null.
  JsonWriter& Whole(uint64_t value);
  JsonWriter& Flag(bool value);
  JsonWriter& Null();
  JsonWriter& Value(const JsonValue& value);  // As it was read.

  // The document, which must be whole.
  std::string Take();

 private:
  struct Level {
    bool object = false;
    bool empty = true;
    bool after_key = false;
  };

  void BeforeValue();
  void Begin(bool object);
  void End(bool object);
  void Quote(std::string_view text);

  std::string text_;
  std::vector<Level> levels_;
};

// A value of a JSON document. Only the field of its kind means anything.
struct JsonValue {
  enum class Kind : uint8_t { kNull, kFlag, kNumber, kText, kList, kObject };

  Kind kind = Kind::kNull;
  bool flag = false;
  double number = 0;
  bool is_whole = false;  // The number is a whole one, not negative, and fits `whole`.
  uint64_t whole = 0;
  std::string text;
  std::vector<JsonValue> items;
  std::vector<JsonMember> members;  // In the order of the document.

  // The member of that name, or null where this is no object or has none.
  const JsonValue* Find(std::string_view key) const;
};

// A member of an object.
struct JsonMember {
  std::string key;
  JsonValue value;
};

// What ParseJson accepts; beyond it a document is refused.
inline constexpr size_t kJsonBytesMax = size_t{16} << 20;
inline constexpr size_t kJsonDepthMax = 32;
inline constexpr size_t kJsonValuesMax = size_t{4} << 20;

// Reads one JSON document from outside, strictly as RFC 8259 has it, and refuses keys that occur
// twice. The error is kBadInput and names the byte.
Result<JsonValue> ParseJson(std::string_view text, size_t bytes_max = kJsonBytesMax);

// Whether all of the text is UTF-8, which a reader of JSON here does not ask for.
bool IsUtf8(std::string_view text);

}  // namespace shardmill
