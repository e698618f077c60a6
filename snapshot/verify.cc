#include "snapshot/verify.h"

#include <algorithm>

#include "snapshot/content.h"
#include "snapshot/shard_head.h"
#include "snapshot/snapshot.h"

namespace shardmill {
namespace {

// That the parts of all files make the whole of each table is known already: Snapshot::OpenFile
// compares them with the cuts, and those are checked as the manifest is read.
struct FileSum {
  uint64_t floats = 0;
  uint64_t rows = 0;
  uint64_t content = 0;
};

Result<> SumDense(ShardFileReader& file, const TablePlace& table, const DenseHead& head,
                  FileSum& sum) {
  for (uint32_t slot = 0; slot <= head.slots; ++slot) {
    SM_TRY(file.ReadDense(table.id, slot, head.begin, head.end, [&](DensePiece piece) -> Result<> {
      sum.content += DenseContent(table.spec.name, slot, piece.begin, piece.floats.floats());
      if (slot == 0) sum.floats += piece.floats.floats().size();
      return {};
    }));
  }
  sum.content += UpdatesContent(table.spec.name, head.updates);
  return {};
}

Result<> SumRows(ShardFileReader& file, const TablePlace& table, const SparseHead& head,
                 FileSum& sum) {
  const auto bad = [&](uint64_t key, const char* words) {
    return Error{ErrorCode::kBadInput, file.place() + ": in the table \"" + table.spec.name +
                                           "\" the key " + std::to_string(key) + words};
  };
  std::vector<uint64_t> keys;
  for (uint64_t batch = 0; batch < BatchesOf(head); ++batch) {
    const RowBatch rows = SM_TRY(file.ReadRows(table.id, batch));
    for (const uint64_t key : rows.keys.keys()) {
      const uint64_t bucket = BucketOf(key);
      if (bucket < head.begin || bucket >= head.end)
        return bad(key, " does not belong to its shard");
      keys.push_back(key);
    }
    sum.content += RowsContent(table.spec.name, rows);
  }
  std::ranges::sort(keys);
  const auto twice = std::ranges::adjacent_find(keys);
  if (twice != keys.end()) return bad(*twice, " is there twice");
  sum.rows += keys.size();
  return {};
}

Result<FileSum> SumFile(Snapshot& snapshot, size_t shard) {
  ShardFileReader file = SM_TRY(snapshot.OpenFile(shard));
  FileSum sum;
  for (const TablePlace& table : snapshot.manifest().view.tables) {
    const TableHead& head = *file.Find(table.id);
    if (const auto* dense = std::get_if<DenseHead>(&head.part)) {
      SM_TRY(SumDense(file, table, *dense, sum));
    } else {
      SM_TRY(SumRows(file, table, std::get<SparseHead>(head.part), sum));
    }
  }
  if (sum.content == snapshot.manifest().files[shard].content) return sum;
  return Error{ErrorCode::kBadInput,
               file.place() + ": its content is another than when the snapshot was taken"};
}

}  // namespace

Result<VerifyReport> VerifySnapshot(BlobStore& store, const std::string& folder) {
  Snapshot snapshot = SM_TRY(Snapshot::Open(store, folder));
  VerifyReport report;
  for (size_t shard = 0; shard < snapshot.manifest().files.size(); ++shard) {
    ++report.files;
    report.bytes += snapshot.manifest().files[shard].bytes;
    const Result<FileSum> sum = SumFile(snapshot, shard);
    if (!sum.ok()) {
      report.problems.push_back(sum.error().message);
      continue;
    }
    report.floats += sum.value().floats;
    report.rows += sum.value().rows;
    report.content += sum.value().content;
  }
  return report;
}

}  // namespace shardmill
