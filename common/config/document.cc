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

// Walks over TOML as far as is needed to know what is text and what is not.
class Walker final {
 public:
  // The first byte beyond ASCII that is neither in a string nor in a comment, or npos.
  static size_t FindForeign(std::string_view text) {
    Walker walker;
    for (size_t i = text.starts_with("\xEF\xBB\xBF") ? 3 : 0; i < text.size();) {
      if (walker.quote_ == 0 && static_cast<unsigned char>(text[i]) >= 0x80) return i;
      i += walker.Advance(text.substr(i));
    }
    return std::string_view::npos;
  }

 private:
  // How many bytes belong together at the front of `text`.
  size_t Advance(std::string_view text) {
    const char c = text[0];
    const bool basic = quote_ == '"';
    if (quote_ == 0) {
      if (c != '"' && c != '\'' && c != '#') return 1;
      quote_ = c;
      long_ = c != '#' && text.size() > 2 && text[1] == c && text[2] == c;
      return long_ ? 3 : 1;
    }
    if (basic && c == '\\') return 2;
    if (c == '\n' && !long_) quote_ = 0;  // A comment's end, or an error that the parser names.
    if (c != quote_ || c == '#') return 1;
    const size_t run = std::min(text.find_first_not_of(c), text.size());
    if (long_ && run < 3) return run;
    quote_ = 0;
    return long_ ? std::min<size_t>(run, 5) : 1;  // Two of the quotes may belong to the text.
  }

  char quote_ = 0;     // What the text that we are in began with; '#' for a comment.
  bool long_ = false;  // It began with three of them.
};

Position PositionOf(std::string_view text, size_t offset) {
  Position at{1, 1};
  for (const char c : text.substr(0, offset)) {
    const bool continues = (static_cast<unsigned char>(c) & 0xC0) == 0x80;
    at = c == '\n' ? Position{at.line + 1, 1} : Position{at.line, at.column + !continues};
  }
  return at;
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
  // Outside of strings and comments TOML is ASCII; the parser has undefined behaviour on some of
  // the rest.
  const size_t foreign = Walker::FindForeign(text);
  if (foreign != std::string_view::npos) {
    return BadSyntax(PositionOf(text, foreign), "a character beyond ASCII must stand in quotes");
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
