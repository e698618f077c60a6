#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "common/blob/blob_store.h"
#include "common/rng.h"
#include "snapshot/folder.h"
#include "snapshot/shard_file.h"

// A small state of two tables, and snapshots of it by any number of shards.
namespace shardmill {

constexpr uint64_t kFloats = 1001;
constexpr uint64_t kRows = 300;
constexpr uint32_t kDim = 3;
constexpr uint32_t kState = 7;  // As Adam has it for a row of three floats.

inline float ValueAt(uint32_t slot, uint64_t i) {
  return static_cast<float>(Mix(i * 8 + slot) % 1000) / 7;
}
inline uint64_t KeyAt(uint64_t i) { return Mix(i ^ 0x77); }
inline uint64_t UpdatesAt(uint64_t i) { return i < 400 ? 5 : 9; }

inline Frame FloatsFrame(uint32_t slot, uint64_t begin, uint64_t end) {
  std::vector<float> floats;
  for (uint64_t i = begin; i < end; ++i) floats.push_back(ValueAt(slot, i));
  return Frame::CopyOf(floats);
}

inline DenseImage DenseOf(uint64_t begin, uint64_t end) {
  DenseImage image{{begin, end, 2, {}}, {}, {}};
  for (uint64_t at = begin; at < end;) {
    const uint64_t next = std::min(end, at + 200);
    image.values.push_back(FloatsFrame(0, at, next));
    std::vector<float> state;
    for (uint32_t slot = 1; slot <= 2; ++slot) {
      for (uint64_t i = at; i < next; ++i) state.push_back(ValueAt(slot, i));
    }
    image.states.push_back(Frame::CopyOf(state));
    at = next;
  }
  for (const auto& [from, to] : {std::pair<uint64_t, uint64_t>{0, 400}, {400, kFloats}}) {
    const UpdateRun run{std::max(begin, from), std::min(end, to), UpdatesAt(from)};
    if (run.begin < run.end) image.head.updates.push_back(run);
  }
  return image;
}

inline RowBatch RowsOf(uint64_t begin, uint64_t end) {
  std::vector<uint64_t> keys;
  std::vector<float> values;
  std::vector<float> state;
  for (uint64_t i = 0; i < kRows; ++i) {
    if (BucketOf(KeyAt(i)) < begin || BucketOf(KeyAt(i)) >= end) continue;
    keys.push_back(KeyAt(i));
    for (uint32_t k = 0; k < kDim; ++k) values.push_back(ValueAt(k, KeyAt(i)));
    for (uint32_t k = 0; k < kState; ++k) state.push_back(ValueAt(k + kDim, KeyAt(i)));
  }
  return {Frame::CopyOf(keys), Frame::CopyOf(values), Frame::CopyOf(state)};
}

inline std::vector<uint64_t> EvenCuts(uint64_t whole, uint64_t shards) {
  std::vector<uint64_t> cuts;
  for (uint64_t i = 0; i <= shards; ++i) cuts.push_back(whole * i / shards);
  return cuts;
}

inline Manifest ManifestOf(uint64_t number, uint32_t shards) {
  Manifest manifest;
  manifest.job = JobId{77};
  manifest.name = "job";
  manifest.number = number;
  manifest.view.generation = Generation{3};
  for (uint32_t i = 0; i < shards; ++i) manifest.view.shards.push_back({ShardId{i}, {}, {}, "x"});
  manifest.view.tables = {
      {TableId{1}, {"w", kFloats, {}, 0, UpdateSettings{}}, EvenCuts(kFloats, shards)},
      {TableId{4}, {"emb", 0, {}, kDim, UpdateSettings{}}, EvenCuts(kBuckets, shards)}};
  manifest.cut = {{WorkerId{0}, 12, 32.5, 12, 12, 0, 1}, {WorkerId{1}, 11, 32, 11, 11, 0, 0}};
  manifest.chunks = {{WorkerId{1}, 2, 9}};
  manifest.data = "notes";
  manifest.time_ms = 1'700'000'000'000 + static_cast<int64_t>(number);
  return manifest;
}

inline Result<SnapshotFile> SaveShard(BlobStore& store, const Manifest& manifest, uint32_t shard) {
  const auto& tables = manifest.view.tables;
  const DenseImage dense = DenseOf(tables[0].cuts[shard], tables[0].cuts[shard + 1]);
  const RowBatch rows = RowsOf(tables[1].cuts[shard], tables[1].cuts[shard + 1]);
  const ShardHead head{manifest.job,
                       manifest.view.generation,
                       manifest.number,
                       ShardId{shard},
                       40 + shard,
                       manifest.cut,
                       {{TableId{1}, "w", dense.head},
                        {TableId{4}, "emb",
                         SparseHead{tables[1].cuts[shard], tables[1].cuts[shard + 1], kDim, kState,
                                    rows.keys.keys().size()}}}};
  ShardFileWriter writer =
      SM_TRY(ShardFileWriter::Begin(store, FolderOf(manifest.name, manifest.number), head, 512));
  SM_TRY(writer.Write(dense));
  if (rows.keys.size() > 0) SM_TRY(writer.Write(rows));
  return writer.Finish();
}

inline Result<Manifest> Save(BlobStore& store, uint64_t number, uint32_t shards) {
  Manifest manifest = ManifestOf(number, shards);
  for (uint32_t i = 0; i < shards; ++i) {
    manifest.files.push_back(SM_TRY(SaveShard(store, manifest, i)));
  }
  SM_TRY(WriteManifest(store, manifest));
  return manifest;
}

}  // namespace shardmill
