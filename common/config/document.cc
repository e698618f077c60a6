#include "common/config/document.h"

// Text such as "[[=" breaks assertions of the parser. They become an exception here, in optimized
// builds too, where the parser would otherwise assume that they hold.
namespace shardmill::config {
struct ParserGaveUp {};
[[noreturn]] static void GiveUp() { throw ParserGaveUp(); }
}  // namespace shardmill::config
#define TOML_ASSERT(condition) ((condition) ? static_cast<void>(0) : ::shardmill::config::GiveUp())
#pragma push_macro("NDEBUG")
#undef NDEBUG
// Nested lists and inline tables beyond this depth are refused: the parser recurses into them.
#define TOML_MAX_NESTED_VALUES 16
#include <toml++/toml.h>
#pragma pop_macro("NDEBUG")

#include <algorithm>
#include <utility>

#include "common/config/text.h"

namespace shardmill::config {
namespace {

Position PositionOf(const toml::source_region& source) {
  return {source.begin.line, source.begin.column};
}

Node Convert(const toml::node& from) {
  Node node;
  node.at = PositionOf(from.source());
  if (const toml::table* table = from.as_table()) {
    node.kind = Kind::kTable;
    for (const auto& [key, value] : *table) {
      node.members.push_back({std::string(key.str()), PositionOf(key.source()), Convert(value)});
    }
    // The parser sorts by name; a reader of messages expects the order of the file.
    std::stable_sort(node.members.begin(), node.members.end(),
                     [](const Member& a, const Member& b) { return a.at < b.at; });
  } else if (const toml::array* list = from.as_array()) {
    node.kind = Kind::kList;
    for (const toml::node& item : *list) node.items.push_back(Convert(item));
  } else if (const auto* text = from.as_string()) {
    node.kind = Kind::kText;
    node.text = text->get();
  } else if (const auto* whole = from.as_integer()) {
    node.kind = Kind::kWhole;
    node.whole = whole->get();
  } else if (const auto* real = from.as_floating_point()) {
    node.kind = Kind::kReal;
    node.real = real->get();
  } else if (const auto* flag = from.as_boolean()) {
    node.kind = Kind::kFlag;
    node.flag = flag->get();
  } else {
    node.kind = Kind::kDate;
  }
  return node;
}

Error BadText(std::string words) { return {ErrorCode::kBadUsage, std::move(words)}; }

Error BadSyntax(Position at, std::string words) {
  for (char& c : words) {
    if (static_cast<unsigned char>(c) < 0x20) c = ' ';
  }
  return BadText(std::to_string(at.line) + ":" + std::to_string(at.column) + ": " + words);
}

// Exceptions of the parser end here. Empty words: it gave up without saying where.
Result<Node> Parse(std::string_view text) {
  try {
    return Convert(toml::parse(text));
  } catch (const toml::parse_error& error) {
    return BadSyntax(PositionOf(error.source()), std::string(error.description()));
  } catch (const ParserGaveUp&) {
    return BadText("");
  }
}

// The first line with which the parser gives up. It reads from front to back, so halving works.
size_t FindLineOfGivingUp(std::string_view text) {
  std::vector<size_t> ends;  // Of the lines.
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\n' || i + 1 == text.size()) ends.push_back(i + 1);
  }
  const auto found = std::partition_point(ends.begin(), ends.end(), [text](size_t end) {
    const Result<Node> begin = Parse(text.substr(0, end));
    return begin.ok() || !begin.error().message.empty();
  });
  return static_cast<size_t>(found - ends.begin()) + 1;
}

}  // namespace

std::string_view KindWords(Kind kind) {
  switch (kind) {
    case Kind::kFlag:
      return "true or false";
    case Kind::kWhole:
      return "a whole number";
    case Kind::kReal:
      return "a number with a point";
    case Kind::kText:
      return "text";
    case Kind::kDate:
      return "a date or time";
    case Kind::kList:
      return "a list";
    case Kind::kTable:
      return "a table";
  }
  SM_ASSERT(false);
}

Result<Node> ParseDocument(std::string_view text) {
  if (text.size() > kDocumentBytesMax) {
    return BadText("larger than " + FormatSize(kDocumentBytesMax) + ", which no job file needs");
  }
  size_t line = 1;
  size_t dots = 0;
  for (const char c : text) {
    if (c == '\n') {
      ++line;
      dots = 0;
    } else if (c == '.' && ++dots > kLineDotsMax) {
      return BadText(std::to_string(line) + ":1: more than " + std::to_string(kLineDotsMax) +
                     " dots in one line, which no job file needs");
    }
  }
  Result<Node> document = Parse(text);
  if (document.ok() || !document.error().message.empty()) return document;
  const auto line_of_error = static_cast<uint32_t>(FindLineOfGivingUp(text));
  return BadSyntax({line_of_error, 1}, "this line is not TOML");
}

Result<Node> ParseValue(std::string_view text) {
  Node document = SM_TRY(ParseDocument("value = " + std::string(text)));
  if (document.members.size() != 1 || document.members[0].key != "value") {
    return BadText("more than one value");
  }
  return std::move(document.members[0].value);
}

}  // namespace shardmill::config
