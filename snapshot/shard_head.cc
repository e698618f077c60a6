#include "snapshot/shard_head.h"

#include <algorithm>
#include <set>
#include <utility>

#include "common/json/json.h"
#include "common/view.h"

namespace shardmill {
namespace {

constexpr uint64_t kFormat = 1;
constexpr uint64_t kSlotsMax = 64;

Error Bad(const std::string& what) { return {ErrorCode::kBadInput, "its head has " + what}; }

// Reads the fields of an object; each must be there and of its kind.
struct Fields {
  const JsonValue& json;

  Result<uint64_t> Whole(const char* key, uint64_t max = ~uint64_t{0}) const {
    const JsonValue* value = json.Find(key);
    if (value && value->is_whole && value->whole <= max) return value->whole;
    return Bad(std::string("no sound \"") + key + "\"");
  }
  Result<uint32_t> Small(const char* key) const {
    return static_cast<uint32_t>(SM_TRY(Whole(key, ~uint32_t{0})));
  }
  Result<const JsonValue*> List(const char* key) const {
    const JsonValue* value = json.Find(key);
    if (value && value->kind == JsonValue::Kind::kList) return value;
    return Bad(std::string("no list \"") + key + "\"");
  }
};

void Write(const DenseHead& head, JsonWriter& json) {
  json.Key("begin").Whole(head.begin).Key("end").Whole(head.end).Key("slots").Whole(head.slots);
  json.Key("updates").BeginList();
  for (const UpdateRun& run : head.updates) {
    json.BeginObject().Key("begin").Whole(run.begin).Key("end").Whole(run.end);
    json.Key("updates").Whole(run.updates).EndObject();
  }
  json.EndList();
}

void Write(const SparseHead& head, JsonWriter& json) {
  json.Key("begin").Whole(head.begin).Key("end").Whole(head.end).Key("dim").Whole(head.dim);
  json.Key("state").Whole(head.state).Key("rows").Whole(head.rows);
}

Result<DenseHead> ReadDense(const Fields& fields) {
  DenseHead head;
  head.begin = SM_TRY(fields.Whole("begin"));
  head.end = SM_TRY(fields.Whole("end"));
  head.slots = static_cast<uint32_t>(SM_TRY(fields.Whole("slots", kSlotsMax)));
  if (head.begin > head.end) return Bad("a table that ends before it begins");
  const JsonValue* runs = SM_TRY(fields.List("updates"));
  uint64_t at = head.begin;
  for (const JsonValue& item : runs->items) {
    UpdateRun run;
    run.begin = SM_TRY(Fields{item}.Whole("begin"));
    run.end = SM_TRY(Fields{item}.Whole("end", head.end));
    run.updates = SM_TRY(Fields{item}.Whole("updates"));
    if (run.begin != at || run.end <= at) return Bad("counts of updates that are not in order");
    at = run.end;
    head.updates.push_back(run);
  }
  if (!head.updates.empty() && at != head.end) return Bad("counts of updates with a hole");
  return head;
}

Result<SparseHead> ReadSparse(const Fields& fields) {
  SparseHead head;
  head.begin = SM_TRY(fields.Whole("begin"));
  head.end = SM_TRY(fields.Whole("end", kBuckets));
  head.dim = SM_TRY(fields.Small("dim"));
  head.state = SM_TRY(fields.Small("state"));
  head.rows = SM_TRY(fields.Whole("rows", ~uint32_t{0}));
  if (head.begin > head.end || head.dim == 0) return Bad("a table that cannot be");
  return head;
}

Result<TableHead> ReadTable(const Fields& fields) {
  TableHead table;
  table.table = TableId{SM_TRY(fields.Small("id"))};
  const JsonValue* name = fields.json.Find("name");
  if (!name || name->kind != JsonValue::Kind::kText) return Bad("a table without a name");
  table.name = name->text;
  if (fields.json.Find("dim")) {
    table.part = SM_TRY(ReadSparse(fields));
  } else {
    table.part = SM_TRY(ReadDense(fields));
  }
  return table;
}

Result<RankState> ReadRank(const Fields& fields) {
  RankState rank;
  rank.rank = WorkerId{SM_TRY(fields.Small("rank"))};
  rank.ended = SM_TRY(fields.Whole("ended"));
  const JsonValue* samples = fields.json.Find("samples");
  if (!samples || samples->kind != JsonValue::Kind::kNumber || samples->number < 0) {
    return Bad("no sound \"samples\"");
  }
  rank.samples = samples->number;
  rank.applied = SM_TRY(fields.Whole("applied"));
  rank.counted = SM_TRY(fields.Whole("counted"));
  rank.discarded = SM_TRY(fields.Whole("discarded"));
  rank.attempt = SM_TRY(fields.Small("attempt"));
  return rank;
}

void Add(std::vector<Tensor>& tensors, std::string name, Dtype dtype, std::vector<uint64_t> shape) {
  tensors.push_back({std::move(name), dtype, std::move(shape)});
}

}  // namespace

std::string FormatShardHead(const ShardHead& head) {
  JsonWriter json;
  json.BeginObject().Key("format").Whole(kFormat).Key("job").Whole(head.job.value);
  json.Key("generation").Whole(head.generation.value).Key("snapshot").Whole(head.snapshot);
  json.Key("shard").Whole(head.shard.value).Key("version").Whole(head.version);
  json.Key("ranks").BeginList();
  for (const RankState& rank : head.ranks) {
    json.BeginObject().Key("rank").Whole(rank.rank.value).Key("ended").Whole(rank.ended);
    json.Key("samples").Number(rank.samples).Key("applied").Whole(rank.applied);
    json.Key("counted").Whole(rank.counted).Key("discarded").Whole(rank.discarded);
    json.Key("attempt").Whole(rank.attempt).EndObject();
  }
  json.EndList().Key("tables").BeginList();
  for (const TableHead& table : head.tables) {
    json.BeginObject().Key("id").Whole(table.table.value).Key("name").Text(table.name);
    std::visit([&json](const auto& part) { Write(part, json); }, table.part);
    json.EndObject();
  }
  return json.EndList().EndObject().Take();
}

Result<ShardHead> ParseShardHead(std::string_view text) {
  const JsonValue json = SM_TRY(ParseJson(text));
  const Fields fields{json};
  const uint64_t format = SM_TRY(fields.Whole("format"));
  if (format != kFormat) {
    return Bad("format " + std::to_string(format) + ", and this version of shardmill reads " +
               std::to_string(kFormat) +
               "; read it with the version that wrote it, or a later one");
  }
  ShardHead head;
  head.job = JobId{SM_TRY(fields.Whole("job"))};
  head.generation = Generation{SM_TRY(fields.Whole("generation"))};
  head.snapshot = SM_TRY(fields.Whole("snapshot"));
  head.shard = ShardId{SM_TRY(fields.Small("shard"))};
  head.version = SM_TRY(fields.Whole("version"));
  const JsonValue* ranks = SM_TRY(fields.List("ranks"));
  for (const JsonValue& item : ranks->items) {
    head.ranks.push_back(SM_TRY(ReadRank(Fields{item})));
  }
  const JsonValue* tables = SM_TRY(fields.List("tables"));
  std::set<TableId> ids;
  for (const JsonValue& item : tables->items) {
    head.tables.push_back(SM_TRY(ReadTable(Fields{item})));
    if (!ids.insert(head.tables.back().table).second) return Bad("a table twice");
  }
  return head;
}

std::vector<Tensor> LayOutShard(const ShardHead& head) {
  std::vector<Tensor> tensors;
  for (const TableHead& table : head.tables) {
    const std::string id = std::to_string(table.table.value);
    if (const auto* dense = std::get_if<DenseHead>(&table.part)) {
      const uint64_t size = dense->end - dense->begin;
      Add(tensors, id + ".values", Dtype::kF32, {size});
      for (uint32_t k = 1; k <= dense->slots; ++k) {
        Add(tensors, id + ".slot." + std::to_string(k), Dtype::kF32, {size});
      }
      continue;
    }
    const auto& sparse = std::get<SparseHead>(table.part);
    for (uint64_t batch = 0; batch < BatchesOf(sparse); ++batch) {
      const std::string number = "." + std::to_string(batch);
      const uint64_t rows = std::min(kBatchRows, sparse.rows - batch * kBatchRows);
      Add(tensors, id + ".keys" + number, Dtype::kU64, {rows});
      Add(tensors, id + ".values" + number, Dtype::kF32, {rows, sparse.dim});
      if (sparse.state > 0) {
        Add(tensors, id + ".state" + number, Dtype::kF32, {rows, sparse.state});
      }
    }
  }
  return tensors;
}

}  // namespace shardmill
