#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "common/json/json.h"
#include "worker/data/row.h"

// Columns in files that say what their rows, or their weights, are of.
namespace shardmill {

// JSON has room for UTF-8 alone, and names of files and words may be any bytes: each byte is the
// letter of its number.
std::string LettersOf(std::string_view bytes);
std::string BytesOfLetters(std::string_view letters);

void WriteColumns(const Columns& columns, JsonWriter& json);
// Nothing where the document, which comes from outside, is none of columns.
std::optional<Columns> ReadColumns(const JsonValue& json);

}  // namespace shardmill
