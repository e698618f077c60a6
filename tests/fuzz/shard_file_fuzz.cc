// A shard's file of a snapshot, with checksums that are made to fit: what lies behind them must
// harm nobody either. The input is the file.
#include "common/blob/folder_store.h"
#include "common/blob/memory_files.h"
#include "common/crc32c.h"
#include "snapshot/shard_file.h"
#include "snapshot/shard_head.h"
#include "tests/fuzz/input.h"

namespace shardmill::fuzz {
namespace {

constexpr uint64_t kPieces = 512;  // Bytes of each.

SnapshotFile Described(Input bytes) {
  SnapshotFile file;
  file.name = "f";
  file.bytes = bytes.size();
  file.piece_bytes = kPieces;
  for (size_t begin = 0; begin < bytes.size(); begin += kPieces) {
    const size_t size = std::min<size_t>(kPieces, bytes.size() - begin);
    file.piece_crcs.push_back(Crc32c(BytesOf(bytes.subspan(begin, size))));
  }
  return file;
}

Result<> ReadTable(ShardFileReader& file, const TableHead& table) {
  if (const auto* dense = std::get_if<DenseHead>(&table.part)) {
    for (uint32_t slot = 0; slot <= dense->slots; ++slot) {
      uint64_t at = dense->begin;
      SM_TRY(file.ReadDense(table.table, slot, dense->begin, dense->end, [&](DensePiece piece) {
        Check(piece.begin == at, "pieces come one behind the other");
        at += piece.floats.floats().size();
        return Result<>();
      }));
      Check(at == dense->end, "all that the head tells of is there");
    }
    return {};
  }
  const auto& sparse = std::get<SparseHead>(table.part);
  uint64_t rows = 0;
  for (uint64_t batch = 0; batch < BatchesOf(sparse); ++batch) {
    const RowBatch read = SM_TRY(file.ReadRows(table.table, batch));
    const uint64_t keys = read.keys.keys().size();
    Check(read.values.floats().size() == keys * sparse.dim, "each row has its floats");
    Check(read.state.floats().size() == keys * sparse.state, "each row has its state");
    rows += keys;
  }
  Check(rows == sparse.rows, "all that the head tells of is there");
  return {};
}

Result<> ReadFile(BlobStore& store, Input input) {
  SM_TRY(WriteBlob(store, "f", TextOf(input)));
  const Result<ShardHead> head = ReadShardHead(store, "f");
  ShardFileReader file = SM_TRY(ShardFileReader::Open(store, "", Described(input)));
  Check(head.ok(), "a file that can be opened says what it is");
  for (const TableHead& table : file.head().tables) SM_TRY(ReadTable(file, table));
  return {};
}

Result<std::string> MakeSeed(uint64_t rows) {
  MemoryFiles files(1);
  FolderStore store(files, "disk");
  const std::vector<uint64_t> keys(rows, 5);
  const std::vector<float> floats(rows * 3, 1);
  DenseImage dense{{16, 24, 1, {{16, 20, 3}, {20, 24, 4}}}, {}, {}};
  dense.values = {Frame::CopyOf(std::vector<float>(8, 0.5F))};
  dense.states = {Frame::CopyOf(std::vector<float>(8, 0.25F))};
  const ShardHead head{
      JobId{7},
      Generation{1},
      3,
      ShardId{1},
      9,
      {{WorkerId{0}, 12, 32.5, 12, 12, 0, 1}},
      {{TableId{1}, "w", dense.head}, {TableId{4}, "emb", SparseHead{0, 4096, 3, 3, rows}}}};
  ShardFileWriter writer = SM_TRY(ShardFileWriter::Begin(store, "", head, kPieces));
  SM_TRY(writer.Write(dense));
  if (rows > 0) {
    SM_TRY(writer.Write({Frame::CopyOf(keys), Frame::CopyOf(floats), Frame::CopyOf(floats)}));
  }
  const SnapshotFile file = SM_TRY(writer.Finish());
  return ReadBlob(store, file.name, 1 << 20);
}

}  // namespace

void Try(Input input) {
  MemoryFiles files(1);
  FolderStore store(files, "disk");
  const Result<> read = ReadFile(store, input);
  Check(read.ok() || !read.error().message.empty(), "who refuses says why");
}

std::vector<std::string> Seeds() {
  std::vector<std::string> seeds;
  for (const uint64_t rows : {0, 2}) {
    const Result<std::string> seed = MakeSeed(rows);
    Check(seed.ok(), "seeds are made");
    seeds.push_back(seed.value());
  }
  return seeds;
}

}  // namespace shardmill::fuzz
