#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"

namespace shardmill::config {

// Counted from 1; line 0 is "no place".
struct Position {
  uint32_t line = 0;
  uint32_t column = 0;

  auto operator<=>(const Position&) const = default;
};

enum class Kind : uint8_t { kFlag, kWhole, kReal, kText, kDate, kList, kTable };

struct Member;

// A value of a TOML document and where it stands. Only the field of its kind means anything.
struct Node {
  Kind kind = Kind::kTable;
  Position at;
  bool flag = false;
  int64_t whole = 0;
  double real = 0;
  std::string text;
  std::vector<Node> items;
  std::vector<Member> members;
};

// A key of a table, where it stands, and its value.
struct Member {
  std::string key;
  Position at;
  Node value;
};

// "text", "a whole number": the kind in words.
std::string_view KindWords(Kind kind);

// Reads TOML from outside. The error is a list of words that begins with "LINE:COLUMN: " where the
// place is known. The limits below keep hostile text from exhausting stack or memory.
inline constexpr size_t kDocumentBytesMax = 1 << 20;
inline constexpr size_t kLineDotsMax = 256;  // A dotted key nests one table a dot.
Result<Node> ParseDocument(std::string_view text);

// Reads one TOML value, as a flag or the environment gives it.
Result<Node> ParseValue(std::string_view text);

}  // namespace shardmill::config
