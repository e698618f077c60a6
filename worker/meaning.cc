#include "worker/meaning.h"

#include <algorithm>
#include <span>
#include <string>

#include "common/crc32c.h"

namespace shardmill {
namespace {

uint32_t Hashed(uint32_t before, const std::vector<std::string>& texts) {
  for (const std::string& text : texts) {
    // With its end: "ab", "c" are not "a", "bc".
    before = Crc32c(std::as_bytes(std::span(text.c_str(), text.size() + 1)), before);
  }
  return before;
}

}  // namespace

std::optional<TableSpec> MeaningTable(const Columns& columns) {
  uint32_t inputs = 0;
  bool any = false;
  for (size_t i = 0; i + 1 < columns.size(); ++i) {
    const Column& column = columns[i];
    any = any || !column.words.empty() || !column.fields.empty();
    inputs = Hashed(Hashed(Hashed(inputs, {column.name}), column.words), column.fields);
  }
  const std::vector<std::string>& classes = columns.back().words;
  if (!any && classes.empty()) return {};
  const uint64_t hash = uint64_t{inputs} << 32 | Hashed(0, classes);
  UpdateSettings update;
  update.rule = UpdateRule::kMax;
  return TableSpec{
      .name = "data.meaning", .initial = Initial::Uniform(1, hash), .dim = 1, .update = update};
}

Error OtherMeaning() {
  return {ErrorCode::kBadUsage,
          "the data have other columns, or other words or classes, or those in another order, than "
          "the weights that are there were trained with: give the files that the job began with "
          "(data.train) to all who train, or begin anew (snapshot.resume)"};
}

Result<> CheckMeaning(Session& session, const Columns& columns) {
  const std::optional<TableSpec> table = MeaningTable(columns);
  if (!table) return {};
  const Result<SparseTable> made =
      session.Sparse(table->name, table->dim, {.initial = table->initial, .update = table->update});
  if (made.ok()) return {};
  if (made.error().code != ErrorCode::kBadUsage) return made.error();
  return OtherMeaning();
}

}  // namespace shardmill
