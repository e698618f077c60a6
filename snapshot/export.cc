#include "snapshot/export.h"

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "snapshot/safetensors.h"
#include "snapshot/shard_head.h"

namespace shardmill {
namespace {

// What of a table a tensor has.
enum class Part : uint8_t { kSlot, kKeys, kRows, kState };

struct Source {
  TablePlace table;
  Part part = Part::kSlot;
  uint32_t slot = 0;
};

struct Plan {
  TensorIndex index;
  std::vector<Source> sources;  // Of each tensor.

  void Add(std::string name, Dtype dtype, std::vector<uint64_t> shape, Source source) {
    index.tensors.push_back({std::move(name), dtype, std::move(shape)});
    sources.push_back(std::move(source));
  }
};

void AddDense(const TablePlace& table, uint32_t slots, Plan& plan) {
  plan.Add(table.spec.name, Dtype::kF32, {table.spec.size}, {table, Part::kSlot, 0});
  for (uint32_t slot = 1; slot <= slots; ++slot) {
    plan.Add(table.spec.name + ".slot." + std::to_string(slot), Dtype::kF32, {table.spec.size},
             {table, Part::kSlot, slot});
  }
}

// Keys come first in the file: so all numbers lie as their size wants them to.
Result<Plan> MakePlan(Snapshot& snapshot, bool state) {
  std::vector<ShardFileReader> files;
  for (size_t shard = 0; shard < snapshot.manifest().files.size(); ++shard) {
    files.push_back(SM_TRY(snapshot.OpenFile(shard)));
  }
  Plan keys;
  Plan floats;
  for (const TablePlace& table : snapshot.manifest().view.tables) {
    uint64_t rows = 0;
    uint32_t beside = 0;
    for (size_t i = 0; i < files.size(); ++i) {
      const auto& part = files[i].Find(table.id)->part;
      const SparseHead* sparse = std::get_if<SparseHead>(&part);
      const uint32_t here = sparse ? sparse->state : std::get<DenseHead>(part).slots;
      rows += sparse ? sparse->rows : 0;
      if (i > 0 && here != beside) {
        return Error{ErrorCode::kBadInput, files[i].place() +
                                               ": it has other optimizer state of \"" +
                                               table.spec.name + "\" than the files before it"};
      }
      beside = here;
    }
    if (!table.spec.sparse()) {
      AddDense(table, state ? beside : 0, floats);
      continue;
    }
    const std::string& name = table.spec.name;
    keys.Add(name + ".keys", Dtype::kU64, {rows}, {table, Part::kKeys});
    floats.Add(name + ".rows", Dtype::kF32, {rows, table.spec.dim}, {table, Part::kRows});
    if (state && beside > 0) {
      floats.Add(name + ".state", Dtype::kF32, {rows, beside}, {table, Part::kState});
    }
  }
  for (size_t i = 0; i < floats.sources.size(); ++i) {
    keys.index.tensors.push_back(std::move(floats.index.tensors[i]));
    keys.sources.push_back(std::move(floats.sources[i]));
  }
  return keys;
}

Result<> WriteTensor(ShardFileReader& file, const Source& source, BlobWriter& writer) {
  const TableId table = source.table.id;
  const TableHead& head = *file.Find(table);
  if (const auto* dense = std::get_if<DenseHead>(&head.part)) {
    return file.ReadDense(table, source.slot, dense->begin, dense->end,
                          [&](DensePiece piece) { return writer.Append(piece.floats.bytes()); });
  }
  for (uint64_t batch = 0; batch < BatchesOf(std::get<SparseHead>(head.part)); ++batch) {
    RowBatch rows;
    if (source.part == Part::kKeys) {
      rows.keys = SM_TRY(file.ReadKeys(table, batch));
    } else {
      rows = SM_TRY(file.ReadRows(table, batch));
    }
    const Frame& frame = source.part == Part::kKeys   ? rows.keys
                         : source.part == Part::kRows ? rows.values
                                                      : rows.state;
    SM_TRY(writer.Append(frame.bytes()));
  }
  return {};
}

}  // namespace

Result<> ExportSnapshot(Snapshot& snapshot, bool state, BlobStore& to, const std::string& name) {
  Plan plan = SM_TRY(MakePlan(snapshot, state));
  const Manifest& manifest = snapshot.manifest();
  plan.index.metadata = {{"format", "shardmill"},
                         {"job", manifest.name},
                         {"snapshot", std::to_string(manifest.number)}};
  for (const JobKey& key : manifest.keys) plan.index.metadata.emplace_back(key.key, key.value);
  for (const TablePlace& table : manifest.view.tables) {
    if (!table.spec.sparse()) continue;
    plan.index.metadata.emplace_back(table.spec.name + ".seed",
                                     std::to_string(table.spec.initial.seed));
  }
  const std::string header = SM_TRY(FormatTensorHeader(plan.index));
  const std::unique_ptr<BlobWriter> writer = SM_TRY(to.Create(name));
  SM_TRY(writer->Append(std::as_bytes(std::span(header))));
  for (const Source& source : plan.sources) {
    for (size_t shard = 0; shard < manifest.files.size(); ++shard) {
      ShardFileReader file = SM_TRY(snapshot.OpenFile(shard));
      SM_TRY(WriteTensor(file, source, *writer));
    }
  }
  return writer->Commit();
}

}  // namespace shardmill
