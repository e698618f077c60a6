#include "worker/data/columns_json.h"

#include <charconv>
#include <cstdint>
#include <system_error>
#include <utility>
#include <vector>

namespace shardmill {
namespace {

std::optional<uint64_t> WholeAt(const JsonValue& object, const char* key) {
  const JsonValue* value = object.Find(key);
  if (value == nullptr || !value->is_whole) return {};
  return value->whole;
}

std::optional<std::string> BytesAt(const JsonValue& object, const char* key) {
  const JsonValue* value = object.Find(key);
  if (value == nullptr || value->kind != JsonValue::Kind::kText) return {};
  return BytesOfLetters(value->text);
}

// Words in one text, each behind its length, as "3:red5:green": a word may have any bytes.
std::string Joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += std::to_string(word.size()) + ':' + word;
  return LettersOf(text);
}

std::optional<std::vector<std::string>> Split(std::string_view text) {
  std::vector<std::string> words;
  while (!text.empty()) {
    size_t size = 0;
    const char* const end = text.data() + text.size();
    const auto [at, error] = std::from_chars(text.data(), end, size);
    if (error != std::errc() || at == end || *at != ':') return {};
    text.remove_prefix(static_cast<size_t>(at - text.data()) + 1);
    if (size > text.size()) return {};
    words.emplace_back(text.substr(0, size));
    text.remove_prefix(size);
  }
  return words;
}

std::optional<Column> ColumnFrom(const JsonValue& json) {
  const std::optional<std::string> name = BytesAt(json, "name");
  const std::optional<uint64_t> kind = WholeAt(json, "kind");
  const std::optional<uint64_t> ids_end = WholeAt(json, "ids_end");
  const std::optional<std::string> greatest_at = BytesAt(json, "greatest_at");
  const JsonValue* shape = json.Find("row_shape");
  const auto words = Split(BytesAt(json, "words").value_or("none"));
  const auto fields = Split(BytesAt(json, "fields").value_or(""));
  constexpr auto kKindMax = static_cast<uint64_t>(ColumnKind::kSparse);
  constexpr uint64_t kRowSizeMax = uint64_t{1} << 32;
  if (!name || !greatest_at || shape == nullptr || !words || !fields || !kind || *kind > kKindMax ||
      !ids_end) {
    return {};
  }
  Column column{.name = *name, .kind = static_cast<ColumnKind>(*kind), .row_shape = {}};
  column.ids_end = *ids_end;
  column.greatest_at = *greatest_at;
  uint64_t size = 1;
  for (const JsonValue& extent : shape->items) {
    if (!extent.is_whole || extent.whole == 0 || extent.whole > kRowSizeMax / size) return {};
    size *= extent.whole;
    column.row_shape.push_back(extent.whole);
  }
  column.words = *words;
  const JsonValue* missing = json.Find("missing");
  column.missing = missing != nullptr && missing->flag;
  column.fields = *fields;
  return column;
}

}  // namespace

std::string LettersOf(std::string_view bytes) {
  std::string letters;
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x80) letters += static_cast<char>(0xc0 | byte >> 6);
    letters += static_cast<char>(byte >= 0x80 ? 0x80 | (byte & 0x3f) : byte);
  }
  return letters;
}

std::string BytesOfLetters(std::string_view letters) {
  std::string bytes;
  for (size_t i = 0; i < letters.size(); ++i) {
    const auto byte = static_cast<unsigned char>(letters[i]);
    const bool two = byte >= 0xc0 && i + 1 < letters.size();
    bytes += two ? static_cast<char>(byte << 6 | (letters[++i] & 0x3f)) : letters[i];
  }
  return bytes;
}

void WriteColumns(const Columns& columns, JsonWriter& json) {
  json.BeginList();
  for (const Column& column : columns) {
    json.BeginObject().Key("name").Text(LettersOf(column.name));
    json.Key("kind").Whole(static_cast<uint64_t>(column.kind));
    json.Key("ids_end").Whole(column.ids_end);
    json.Key("greatest_at").Text(LettersOf(column.greatest_at));
    json.Key("missing").Flag(column.missing);
    json.Key("row_shape").BeginList();
    for (const uint64_t extent : column.row_shape) json.Whole(extent);
    json.EndList().Key("words").Text(Joined(column.words));
    json.Key("fields").Text(Joined(column.fields)).EndObject();
  }
  json.EndList();
}

std::optional<Columns> ReadColumns(const JsonValue& json) {
  Columns columns;
  for (const JsonValue& item : json.items) {
    std::optional<Column> column = ColumnFrom(item);
    if (!column) return {};
    columns.push_back(*std::move(column));
  }
  if (columns.empty()) return {};
  return columns;
}

}  // namespace shardmill
