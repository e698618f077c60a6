#include "snapshot/snapshot.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "snapshot/folder.h"

namespace shardmill {
namespace {

// The rows whose buckets are in [begin, end). Fails where a row is not in its file's own buckets.
Result<RowBatch> Filter(RowBatch batch, const SparseHead& head, uint64_t begin, uint64_t end,
                        const std::string& place) {
  const std::span<const uint64_t> keys = batch.keys.keys();
  std::vector<size_t> kept;
  for (size_t i = 0; i < keys.size(); ++i) {
    const uint64_t bucket = BucketOf(keys[i]);
    if (bucket < head.begin || bucket >= head.end) {
      return Error{ErrorCode::kBadInput, place + ": the key " + std::to_string(keys[i]) +
                                             " does not belong to its shard"};
    }
    if (bucket >= begin && bucket < end) kept.push_back(i);
  }
  if (kept.size() == keys.size()) return batch;
  const auto pick = [&](const Frame& from, size_t bytes) {
    Buffer to = Buffer::OfBytes(kept.size() * bytes);
    for (size_t i = 0; i < kept.size(); ++i) {
      std::memcpy(to.bytes().data() + i * bytes, from.bytes().data() + kept[i] * bytes, bytes);
    }
    return std::move(to).Close();
  };
  return RowBatch{pick(batch.keys, sizeof(uint64_t)), pick(batch.values, head.dim * sizeof(float)),
                  head.state > 0 ? pick(batch.state, head.state * sizeof(float)) : Frame()};
}

void AddRuns(const DenseHead& head, uint64_t begin, uint64_t end, UpdateRuns& runs) {
  for (const UpdateRun& run : head.updates) {
    const UpdateRun part{std::max(begin, run.begin), std::min(end, run.end), run.updates};
    if (part.begin >= part.end) continue;
    if (!runs.empty() && runs.back().end == part.begin && runs.back().updates == part.updates) {
      runs.back().end = part.end;
    } else {
      runs.push_back(part);
    }
  }
}

}  // namespace

Result<Snapshot> Snapshot::Open(BlobStore& store, const std::string& folder) {
  Manifest manifest = SM_TRY(ReadManifest(store, folder));
  return Snapshot(store, folder, std::move(manifest));
}

Snapshot::Snapshot(BlobStore& store, std::string folder, Manifest manifest)
    : store_(&store), folder_(std::move(folder)), manifest_(std::move(manifest)) {}

Result<uint64_t> Snapshot::Version() {
  uint64_t version = 0;
  for (size_t shard = 0; shard < manifest_.files.size(); ++shard) {
    const ShardFileReader file = SM_TRY(OpenFile(shard));
    version = std::max(version, file.head().version);
  }
  return version;
}

Result<ShardFileReader> Snapshot::OpenFile(size_t shard) {
  ShardFileReader file = SM_TRY(ShardFileReader::Open(*store_, folder_, manifest_.files[shard]));
  const auto bad = [&](const std::string& words) {
    return Error{ErrorCode::kBadInput, file.place() + ": " + words};
  };
  const ShardHead& head = file.head();
  if (head.job != manifest_.job || head.snapshot != manifest_.number ||
      head.generation != manifest_.view.generation || head.shard.value != shard) {
    return bad("it is another shard's, or of another snapshot");
  }
  bool one_cut = head.ranks.size() == manifest_.cut.size();
  for (size_t i = 0; one_cut && i < head.ranks.size(); ++i) {
    one_cut = head.ranks[i].rank == manifest_.cut[i].rank &&
              head.ranks[i].ended == manifest_.cut[i].ended;
  }
  if (!one_cut) return bad("its steps are not those of the snapshot's cut");
  if (head.tables.size() != manifest_.view.tables.size()) return bad("it has not all tables");
  for (const TablePlace& place : manifest_.view.tables) {
    const TableHead* table = file.Find(place.id);
    const auto fits = [&](const auto& part) {
      return part.begin == place.cuts[shard] && part.end == place.cuts[shard + 1];
    };
    const SparseHead* sparse = table ? std::get_if<SparseHead>(&table->part) : nullptr;
    if (!table || !std::visit(fits, table->part) || (sparse ? sparse->dim : 0) != place.spec.dim) {
      return bad("it has not the part of the table \"" + place.spec.name +
                 "\" that it should have");
    }
  }
  return file;
}

Result<> Snapshot::ReadTable(TableId table, uint64_t begin, uint64_t end, const TakePiece& take) {
  const auto place = std::ranges::find(manifest_.view.tables, table, &TablePlace::id);
  if (place == manifest_.view.tables.end()) {
    return Error{ErrorCode::kBadInput,
                 store_->PlaceOf(folder_) + ": the snapshot has no such table"};
  }
  UpdateRuns runs;
  for (size_t shard = 0; shard < manifest_.files.size(); ++shard) {
    const uint64_t from = std::max(begin, place->cuts[shard]);
    const uint64_t to = std::min(end, place->cuts[shard + 1]);
    if (from >= to) continue;
    ShardFileReader file = SM_TRY(OpenFile(shard));
    const TableHead& head = *file.Find(table);
    if (const auto* dense = std::get_if<DenseHead>(&head.part)) {
      for (uint32_t slot = 0; slot <= dense->slots; ++slot) {
        SM_TRY(file.ReadDense(table, slot, from, to, take));
      }
      AddRuns(*dense, from, to, runs);
      continue;
    }
    const auto& sparse = std::get<SparseHead>(head.part);
    for (uint64_t batch = 0; batch * kBatchRows < sparse.rows; ++batch) {
      RowBatch rows = SM_TRY(file.ReadRows(table, batch));
      rows = SM_TRY(Filter(std::move(rows), sparse, begin, end, file.place()));
      if (rows.keys.size() > 0) SM_TRY(take(std::move(rows)));
    }
  }
  if (runs.empty()) return {};
  return take(std::move(runs));
}

}  // namespace shardmill
