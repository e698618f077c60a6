#include "server/disk_desk.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "snapshot/folder.h"
#include "snapshot/snapshot.h"

namespace shardmill {
namespace {

// Checksums of one file, which must fit into one message.
constexpr uint64_t kPiecesMax = 16384;

uint64_t BytesOf(const ShardHead& head) {
  uint64_t floats = 0;
  for (const TableHead& table : head.tables) {
    if (const auto* dense = std::get_if<DenseHead>(&table.part)) {
      floats += (dense->end - dense->begin) * (1 + uint64_t{dense->slots});
    } else {
      const auto& sparse = std::get<SparseHead>(table.part);
      floats += sparse.rows * (uint64_t{sparse.dim} + sparse.state + 2);
    }
  }
  return floats * sizeof(float);
}

uint64_t PieceBytesFor(const ShardHead& head) {
  const uint64_t piece = std::bit_ceil(BytesOf(head) / kPiecesMax + 1);
  return std::clamp(piece, kPieceBytes, kPieceBytesMax);
}

}  // namespace

DiskDesk::DiskDesk(BlobStore& store, std::string job) : store_(store), job_(std::move(job)) {}

void DiskDesk::Do(const DiskRequest& request, const TakeAnswer& take) {
  if (const auto* load = std::get_if<LoadTables>(&request)) {
    Result<uint64_t> version = Load(*load, take);
    static_cast<void>(take(TablesLoaded{load->load, std::move(version)}));
    return;
  }
  const Result<> written = Write(request, take);
  if (!written.ok()) Drop(written.error(), take);
}

void DiskDesk::Drop(const Error& why, const TakeAnswer& take) {
  if (!writer_) return;
  writer_.reset();
  static_cast<void>(take(FileWritten{snapshot_, why}));
}

// What follows a failure is passed over, until another file begins.
Result<> DiskDesk::Write(const DiskRequest& request, const TakeAnswer& take) {
  if (const auto* head = std::get_if<ShardHead>(&request)) {
    writer_.reset();
    snapshot_ = head->snapshot;
    Result<ShardFileWriter> writer =
        ShardFileWriter::Begin(store_, FolderOf(job_, snapshot_), *head, PieceBytesFor(*head));
    if (!writer.ok()) {
      static_cast<void>(take(FileWritten{snapshot_, writer.error()}));
      return {};
    }
    writer_.emplace(std::move(writer).value());
    return {};
  }
  if (!writer_) return {};
  if (const auto* dense = std::get_if<DenseImage>(&request)) return writer_->Write(*dense);
  if (const auto* rows = std::get_if<RowBatch>(&request)) return writer_->Write(*rows);
  SnapshotFile file = SM_TRY(writer_->Finish());
  writer_.reset();
  return take(FileWritten{snapshot_, std::move(file)});
}

Result<uint64_t> DiskDesk::Load(const LoadTables& load, const TakeAnswer& take) {
  Snapshot snapshot = SM_TRY(Snapshot::Open(store_, FolderOf(job_, load.snapshot)));
  for (const TablePlace& place : load.tables) {
    if (snapshot.manifest().view.FindTable(place.spec.name) == nullptr) continue;  // Made later.
    const uint64_t begin = place.cuts.at(load.shard.value);
    const uint64_t end = place.cuts.at(load.shard.value + 1);
    SM_TRY(snapshot.ReadTable(place.id, begin, end, [&](TablePiece piece) {
      return take(PieceLoaded{load.load, place.id, std::move(piece)});
    }));
  }
  return snapshot.Version();
}

}  // namespace shardmill
