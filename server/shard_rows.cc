// The part of Shard that says for what it has no room, or no place.

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

// What a parked pull keeps is its list of keys, which may be forgotten otherwise.
bool Shard::MayPark(const ParkedPulls& parked, const ParkedPull& pull) const {
  if (parked.size() >= options_.parked_pulls_max) return false;
  if (pull.keys == nullptr) return true;
  uint64_t keys = pull.keys->rows.size();
  for (const auto& [number, other] : parked) keys += other.keys ? other.keys->rows.size() : 0;
  return parked.empty() || keys <= options_.keys_max;
}

std::string Shard::PlaceProblem(const ShardCopy::Table& table, uint64_t begin, uint64_t count,
                                const KeyList& keys) const {
  const auto where = [&] {
    return "\"" + table.place.spec.name + "\" are not on shard " +
           std::to_string(options_.id.value);
  };
  if (count == 0) return "an empty range";
  const auto* dense = std::get_if<DenseSlice>(&table.values);
  if (dense != nullptr) {
    if (keys.id != 0) return "keys for a table without";
    if (dense->Contains(begin, count)) return "";
    return "the floats " + std::to_string(begin) + " + " + std::to_string(count) + " of table " +
           where();
  }
  if (keys.id == 0) return "no keys for a table that has them";
  const auto& sparse = std::get<SparseSlice>(table.values);
  return sparse.Owns(keys.keys.keys()) ? "" : "some of those rows of table " + where();
}

}  // namespace shardmill
