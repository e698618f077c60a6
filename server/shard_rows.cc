// The part of Shard that bounds the rows of sparse tables.

#include <string>
#include <unordered_set>

#include "server/shard.h"

namespace shardmill {

// Words where the rows that a unit makes have no room beside those that are there and those that
// held units will make; empty where they have, and then they are counted. Said before the unit is
// held, since what is held must be applied.
std::string Shard::RowsProblem(const HeldUnit& asked) {
  ShardCopy::Table& table = copy_.At(asked.unit.table);
  const auto* sparse = std::get_if<SparseSlice>(&table.values);
  if (sparse == nullptr || held_.Has(asked.unit)) return "";
  uint64_t missing = 0;
  sparse->ForEachMissing(*asked.keys, [&missing](uint64_t /*key*/) { ++missing; });
  if (missing == 0) return "";
  table.rows_bound += missing;
  if (RowsFit()) return "";
  CountRows(asked);
  if (RowsFit()) return "";
  return table.rows_bound > options_.table_rows_max
             ? "table \"" + table.place.spec.name + "\" would have more rows on a shard than the " +
                   std::to_string(options_.table_rows_max) + " that it can; use more shards"
             : "the rows that this would make are more than a shard holds of sparse tables: its "
               "share of cluster.table_bytes; raise that, or use more shards";
}

bool Shard::RowsFit() const {
  uint64_t left = options_.rows_bytes_max;
  for (const auto& [id, table] : copy_.tables()) {
    const auto* sparse = std::get_if<SparseSlice>(&table.values);
    if (sparse == nullptr) continue;
    if (table.rows_bound > options_.table_rows_max) return false;
    if (table.rows_bound > left / sparse->row_bytes()) return false;
    left -= table.rows_bound * sparse->row_bytes();
  }
  return true;
}

// What was added up unit by unit counts a row as often as units bring it, and those of units that
// were dropped: this counts each once, with those of the unit that asks.
void Shard::CountRows(const HeldUnit& asked) {
  std::map<TableId, std::unordered_set<uint64_t>> missing;
  const auto add = [&](const HeldUnit& held) {
    if (held.keys == nullptr) return;
    const ShardCopy::Table& table = copy_.At(held.unit.table);
    std::get<SparseSlice>(table.values).ForEachMissing(*held.keys, [&](uint64_t key) {
      missing[held.unit.table].insert(key);
    });
  };
  held_.ForEach([&](const HeldUnit& held) {
    const Unit& unit = held.unit;
    const bool replaced = unit.sender.rank == asked.unit.sender.rank &&
                          (unit.step != asked.unit.step || unit.attempt != asked.unit.attempt);
    if (!replaced) add(held);
  });
  add(asked);
  for (auto& [id, table] : copy_.tables()) {
    const auto* sparse = std::get_if<SparseSlice>(&table.values);
    if (sparse != nullptr) table.rows_bound = sparse->rows() + missing[id].size();
  }
}

}  // namespace shardmill
